//! The build guide of a platform: of its first machines, or of its nearest miss.

use localrig_plan::answer::is_built;
use localrig_plan::detail::Handling;
use localrig_plan::near_miss::NearMiss;

use super::chart::{costs, price_history};
use super::platform::{figures, new};
use super::{Answers, Document, MACHINES_PER_PLATFORM, Platform};
use crate::build::{assembly, checks, cost_of_ownership, growth, power, roles, total};
use crate::number::money;
use crate::page::{Page, Text};
use crate::plan::{Extent, configuration, memory_tree, part_table, price_remark, verdict_table};

const PURPOSE: &str = "Parts, prices, links, checks, set-up";

/// `build-guide.md` of a platform with ranked machines.
pub(super) fn build_guide(answers: Answers<'_>, platform: &Platform<'_>) -> Document {
    let mut document = new(platform, "build-guide.md", "build guide", PURPOSE);
    let page = &mut document.page;
    for (index, machine) in platform.machines.iter().enumerate() {
        if index >= MACHINES_PER_PLATFORM && !answers.plan.leads(machine) {
            continue;
        }
        configuration(page, answers.plan, machine, Extent::default());
        let detail = answers.details.get(&machine.key);
        if let Some(told) = detail.and_then(|one| one.handling.as_ref()) {
            handling(page, told, &machine.growth);
        }
    }
    price_history(page, answers, &figures(platform));
    costs(page, answers, &figures(platform));
    let built = platform.machines.first().is_some_and(|one| is_built(&one.parts));
    set_up(page, built);
    page.paragraph(Text::default().link("Overview", "README.md").plain("."));
    document
}

/// `build-guide.md` of a platform whose machines are all out: of the nearest one.
pub(super) fn near_miss(platform: &Platform<'_>, near: &NearMiss) -> Document {
    let mut document = new(platform, "build-guide.md", "build guide", PURPOSE);
    let (page, answer) = (&mut document.page, &near.configuration);
    let remedies: Vec<&str> = near.misses.iter().map(|one| one.remedy.as_str()).collect();
    page.paragraph(nearest(near).plain(format!(
        " It would be eligible with {}. The rest of this page is for those who decide so.",
        remedies.join("; and with ")
    )));
    page.heading(2, answer.name.clone());
    page.list(roles(answer));
    if !near.memory.is_empty() {
        page.heading(3, "Memory");
        near.memory.iter().for_each(|group| page.tree(memory_tree(group)));
    }
    if !near.verdict.is_empty() {
        page.heading(3, "Requirement");
        page.table(verdict_table(&near.verdict));
    }
    page.heading(3, "Parts");
    page.table(part_table(&answer.parts));
    page.list(answer.parts.iter().filter_map(price_remark).collect());
    total(page, answer);
    page.heading(3, "Checks");
    checks(page, answer);
    page.heading(3, "Power, heat, noise");
    power(page, answer);
    page.heading(3, "What it costs to own");
    cost_of_ownership(page, &answer.ownership);
    let told = Handling {
        upgrade: answer.upgrade.clone(),
        assembly: answer.assembly.clone(),
        headless: answer.headless.clone(),
    };
    handling(page, &told, &answer.growth);
    set_up(page, is_built(&answer.parts));
    page.paragraph(Text::default().link("Overview", "README.md").plain("."));
    document
}

/// That a machine is not recommended, and by which numbers.
pub(super) fn nearest(near: &NearMiss) -> Text {
    let misses: Vec<String> =
        near.misses.iter().map(|one| format!("{} ({})", one.limit, one.decided_by)).collect();
    Text::default().strong("Not recommended for this requirement.").plain(format!(
        " The machine of this platform that comes nearest is {}, {}. It is out for this: {}.",
        near.configuration.name,
        money(near.cost),
        misses.join("; ")
    ))
}

/// Why a platform has no build guide.
pub(super) fn none(platform: &Platform<'_>, as_of: &str) -> String {
    let priced = platform.rejected.iter().filter(|(_, one)| one.cost.is_some()).count();
    if priced == 0 {
        let all = platform.rejected.len() + platform.unpriced.len();
        format!(
            "There is no build guide: as of {as_of}, none of the {all} machines has a known price \
             for every part, so nothing can be said to be bought."
        )
    } else {
        "There is no build guide: the parts of the machines that have a price do not go together; \
         the rules that fail are in the table."
            .to_owned()
    }
}

/// How a machine grows, is put together and run without a screen.
fn handling(page: &mut Page, told: &Handling, room: &str) {
    page.heading(3, "Room for growth");
    growth(page, room, told.upgrade.as_ref());
    assembly(page, &told.assembly, 3);
    page.heading(3, "Without a screen");
    page.list(told.headless.iter().map(Into::into).collect());
}

fn set_up(page: &mut Page, built: bool) {
    page.heading(2, "Set-up, step by step");
    let mut steps: Vec<Text> = Vec::new();
    if built {
        steps.push("Mount processor, cooler and memory, then the card in the first long slot; connect every power plug that the checks list.".into());
        steps.push("Install a server system without a desktop, the SSH server, and the maker's driver; check that the accelerator is listed with its whole memory.".into());
    } else {
        steps.push(
            "Switch on remote login, switch off sleep, and give the machine a fixed address."
                .into(),
        );
    }
    steps.push("Install the engine named for each role, fetch the models in the formats named, and start it bound to the local network with a key.".into());
    steps.push("Measure before the right of return ends: each role's speed with everything running, against the table above.".into());
    page.list(steps);
}
