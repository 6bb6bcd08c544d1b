//! The documents at the root of the repository.

use localrig_facts::engine::Engine;
use localrig_facts::{CatalogError, Money};
use localrig_plan::answer::RankedMachine;
use localrig_plan::compare::ComparedModel;
use localrig_plan::survey::Standing;

use super::chart::{Figures, costs, growth, price_history};
use super::models::{index, kv_table, models, models_table, or_unknown, unknown};
use super::{Answers, Document, Platform};
use crate::number::{billions, count, gib, money, noise, speed, tokens_per_second};
use crate::page::{Page, Table, Text, Tree};
use crate::plan::{
    Extent, configuration, ranking, rejections, running_speed, simulated, summary, under_load,
};

fn new(path: &str, title: &str, purpose: &'static str) -> Document {
    let mut page = Page::default();
    page.heading(1, title);
    Document { path: path.to_owned(), title: title.to_owned(), purpose, page }
}

/// Where a plan shows what a document leaves out.
const REST: &str = "in `localrig plan --all`";

/// `README.md`.
pub(super) fn overview(
    answers: Answers<'_>,
    platforms: &[Platform<'_>],
    others: &[Document],
) -> Document {
    let plan = answers.plan;
    let mut document = new("README.md", "Hardware for language models at home", "Start here");
    let page = &mut document.page;
    page.paragraph(format!(
        "{}. Budget {} to {}. Prices, releases and measurements as of {}; facts about hardware and \
         software are those of the catalog, which may be newer.",
        plan.requirement,
        money(plan.budget[0]),
        money(plan.budget[1]),
        plan.as_of
    ));
    page.heading(2, "Bottom line");
    if plan.ranked.is_empty() {
        summary(page, plan);
    }
    page.list(platforms.iter().filter_map(bottom_line).collect());
    let out: Vec<Text> = platforms.iter().filter_map(out_line).collect();
    if !out.is_empty() {
        page.paragraph("Not recommended for this requirement:");
        page.list(out);
    }
    page.picture("price against speed of the main agent", "chart/price-speed.svg");
    page.heading(2, "Why only these platforms");
    let of = |standing| answers.survey.platforms.iter().filter(move |one| one.standing == standing);
    page.paragraph(
        Text::default()
            .plain(format!(
                "{} platforms were considered, {} are in. The rest: {}. ",
                answers.survey.platforms.len(),
                of(Standing::In).count(),
                [
                    Standing::NoPrice,
                    Standing::Limit,
                    Standing::Unfit,
                    Standing::NotForSale,
                    Standing::Unreleased,
                    Standing::Unknown
                ]
                .into_iter()
                .filter(|one| of(*one).next().is_some())
                .map(|one| {
                    let words = one.words();
                    format!("{} {}", of(one).count(), words.strip_prefix("out: ").unwrap_or(words))
                })
                .collect::<Vec<_>>()
                .join("; ")
            ))
            .link("The survey", "alternative-platforms-research.md")
            .plain(" gives the number that decides for each."),
    );
    page.heading(2, "Files");
    let mut table = Table::new(&["file", "what it is for"]);
    for one in others {
        table.row([Text::default().link(one.path.clone(), one.path.clone()), one.purpose.into()]);
    }
    page.table(table);
    page.heading(2, "Reading order");
    let mut order = Text::default()
        .strong("To buy: ")
        .link("requirements", "requirements.md")
        .plain(", then ")
        .link("decision summary", "decision-summary.md");
    if let Some(first) = platforms.iter().find(|one| !one.machines.is_empty()) {
        order = order
            .plain(", then the ")
            .link("build guide", format!("{}/build-guide.md", first.folder));
    }
    page.list(vec![
        order.plain("."),
        Text::default()
            .strong("To look deeper: ")
            .link("benchmarks", "benchmarks.md")
            .plain(", ")
            .link("model quality", "model-quality.md")
            .plain(", the research of each platform, and ")
            .link("what earlier documents have wrong", "claims.md")
            .plain("."),
    ]);
    document
}

/// Why a platform has no machine in the ranking.
fn out_line(platform: &Platform<'_>) -> Option<Text> {
    if !platform.machines.is_empty() {
        return None;
    }
    let text = Text::default().strong(format!("{}: ", platform.folder));
    let why = format!("{}/README.md", platform.folder);
    Some(match platform.near {
        Some(near) => {
            let miss = near.misses.first()?;
            text.plain("nearest is ")
                .link(
                    near.configuration.name.clone(),
                    format!("{}/build-guide.md", platform.folder),
                )
                .plain(format!(", {}: {}, {}", money(near.cost), miss.limit, miss.decided_by))
        }
        None => text.link("no machine that can be bought", why),
    })
}

fn bottom_line(platform: &Platform<'_>) -> Option<Text> {
    let best = platform.machines.first()?;
    let main = best.roles.first()?;
    Some(
        Text::default()
            .strong(format!("{} (#{}): ", platform.folder, best.rank))
            .link(best.name.clone(), format!("{}/README.md", platform.folder))
            .plain(format!(
                ", {}: {} at {} tok/s with everything running, {:.0} GiB, noise {}",
                money(best.cost),
                main.model,
                running_speed(main),
                best.memory_bytes.to_gib(),
                noise(best.noise)
            )),
    )
}

/// `requirements.md`.
pub(super) fn requirements(answers: Answers<'_>) -> Document {
    let one = answers.requirement;
    let mut document =
        new("requirements.md", "Requirements", "What is needed: roles, speeds, limits");
    let page = &mut document.page;
    page.paragraph(one.name.clone());
    page.heading(2, "Roles");
    let mut table = Table::new(&[
        "role",
        "task",
        ">streams",
        ">context",
        "target tok/s",
        ">minimum tok/s",
        "images",
    ]);
    for role in &one.roles {
        let target = role.speed_target_tok_per_s.map_or_else(
            || "none".to_owned(),
            |range| format!("{:.0} to {:.0}", range[0].get(), range[1].get()),
        );
        let least = role.speed_minimum_tok_per_s;
        table.row([
            role.name.clone().into(),
            role.task.clone().into(),
            role.streams.to_string().into(),
            count(role.context_tokens).into(),
            target.into(),
            least.map_or_else(|| "none".to_owned(), |least| format!("{:.0}", least.get())).into(),
            if role.images { "yes" } else { "no" }.into(),
        ]);
    }
    page.table(table);
    page.heading(2, "Limits");
    let hard = |hard: bool| if hard { "must" } else { "should" };
    let mut table = Table::new(&["limit", "value", "kind"]);
    let mut add = |what: &str, value: String, kind: &str| {
        table.row([what.into(), value.into(), kind.into()]);
    };
    let budget = &one.budget;
    add(
        "budget",
        format!(
            "{} to {}, best {} to {}",
            Money::of(budget.range[0], budget.currency),
            Money::of(budget.range[1], budget.currency),
            Money::of(budget.sweet_spot[0], budget.currency),
            Money::of(budget.sweet_spot[1], budget.currency)
        ),
        hard(budget.hard),
    );
    add(
        "accelerator memory",
        format!(
            "{:.0} GiB, at least {:.0} GiB",
            one.memory.target_gib.written(),
            one.memory.minimum_gib.written()
        ),
        hard(one.memory.hard),
    );
    add(
        "streams",
        format!(
            "{} to {}, at least {}",
            one.streams.target[0], one.streams.target[1], one.streams.minimum
        ),
        "should",
    );
    add("noise", format!("at most {}", one.noise.limit.word()), hard(one.noise.hard));
    add("socket", one.power.socket.clone(), hard(one.power.hard));
    add("platforms", one.platform.accepted.join(", "), hard(one.platform.hard));
    add(
        "used goods",
        if one.used.accepted { "accepted" } else { "none" }.to_owned(),
        if one.used.accepted { "may" } else { "must" },
    );
    add("region", one.region.to_uppercase(), "must");
    add("access", one.access.ways.join(", "), "should");
    page.table(table);
    page.paragraph(
        Text::default()
            .plain("Every configuration is held against every line: see the ")
            .link("decision summary", "decision-summary.md")
            .plain("."),
    );
    document
}

/// Configurations in full in the decision summary, beside those that lead in something.
const IN_FULL: usize = 4;

/// `decision-summary.md`.
pub(super) fn decision(answers: Answers<'_>, platforms: &[Platform<'_>]) -> Document {
    let plan = answers.plan;
    let mut document = new(
        "decision-summary.md",
        "Decision summary",
        "Which machines meet the requirements, and why",
    );
    let page = &mut document.page;
    summary(page, plan);
    page.picture("price against speed of the main agent", "chart/price-speed.svg");
    page.picture("what fills the memory", "chart/memory.svg");
    if let Some(best) = plan.ranked.first() {
        models(page, answers, best);
    }
    ranking(page, plan, Extent { rows: 30, rest: REST, ..Extent::default() });
    costs(page, answers, &ranked(answers));
    price_history(page, answers, &leaders(platforms));
    let in_full = |machine: &&RankedMachine| machine.rank <= IN_FULL || plan.leads(machine);
    for machine in plan.ranked.iter().filter(in_full) {
        configuration(page, plan, machine, Extent::default());
    }
    rejections(page, plan, Extent { rejected: 8, rest: REST, ..Extent::default() });
    page.heading(2, "Decision framework");
    let mut tree = Tree { label: "What matters most?".to_owned(), branches: Vec::new() };
    let named = |name: &str, machine: &RankedMachine| Tree {
        label: name.to_owned(),
        branches: vec![Tree::leaf(format!(
            "{} ({}): {} at {} tok/s, {:.0} GiB",
            machine.name,
            money(machine.cost),
            machine.roles[0].model,
            running_speed(&machine.roles[0]),
            machine.memory_bytes.to_gib()
        ))],
    };
    tree.branches.extend(plan.ranked.first().map(|best| named("best overall", best)));
    for leader in &plan.leaders {
        let machine = plan.ranked.iter().find(|one| one.rank == leader.rank);
        tree.branches.extend(machine.map(|one| named(leader.respect, one)));
    }
    page.tree(tree);
    page.heading(2, "Detailed research");
    page.list(
        platforms
            .iter()
            .map(|one| {
                let research = format!("{}/research.md", one.folder);
                let speeds = format!("{}/benchmarks.md", one.folder);
                let guide = format!("{}/build-guide.md", one.folder);
                let mut text = Text::default();
                if one.machines.is_empty() {
                    let why = format!("{}: why it is out", one.folder);
                    text = text.link(why, format!("{}/README.md", one.folder));
                    if one.near.is_some() {
                        text = text.plain(", ").link("its nearest miss", guide);
                    }
                } else {
                    text = text.link(format!("{}: parts and prices", one.folder), guide);
                }
                text.plain(", ").link("research", research).plain(", ").link("speeds", speeds)
            })
            .collect(),
    );
    document
}

/// The ranking as it is drawn at the root.
pub(super) fn ranked(answers: Answers<'_>) -> Figures<'_> {
    let machines = answers.plan.ranked.iter().collect();
    Figures { folder: "chart/".to_owned(), machines }
}

/// The best machine of each platform.
pub(super) fn leaders<'a>(platforms: &[Platform<'a>]) -> Figures<'a> {
    let machines = platforms.iter().filter_map(|one| one.machines.first().copied()).collect();
    Figures { folder: "chart/".to_owned(), machines }
}

/// `benchmarks.md`.
pub(super) fn benchmarks(
    answers: Answers<'_>,
    platforms: &[Platform<'_>],
) -> Result<Document, CatalogError> {
    let mut document =
        new("benchmarks.md", "Benchmarks", "Memory of every model, comparison of the software");
    let page = &mut document.page;
    page.paragraph("Memory is computed tensor by tensor from the published dimensions; the KV cache layer by layer, in FP16. \
         Not known: the catalog lacks dimensions of the model. Index: ability at the main agent's task, 0 to 100, with its 80 % interval.");
    page.heading(2, "Memory per model");
    page.table(models_table(&answers.models.models.iter().collect::<Vec<_>>(), None));
    page.heading(2, "KV cache by context");
    page.paragraph(
        "Of one stream, in GiB, for the models above that have an index of 50 or more; each stream \
         has its own. FP16 but for the last column. A dash: longer than the model goes.",
    );
    page.table(kv_table(&answers.models.models));
    page.heading(2, "Speeds of the ranked machines");
    let mut table = Table::new(&[
        "machine",
        "role",
        "model",
        "engine",
        ">tok/s alone",
        ">tok/s, everything running",
    ]);
    for machine in answers.plan.ranked.iter().take(12) {
        for role in &machine.roles {
            table.row([
                machine.name.clone().into(),
                role.role.clone().into(),
                format!("{} {}", role.model, role.format).into(),
                role.engine.clone().into(),
                speed(&role.alone_tok_per_s).into(),
                under_load(role).into(),
            ]);
        }
    }
    page.table(table);
    page.paragraph(format!("Predicted; 80 % interval in brackets. {}", simulated(answers.plan)));
    growth(page, answers, &leaders(platforms));
    page.heading(2, "Software");
    let mut table =
        Table::new(&["engine", "version", "formats", "several devices", "serving", "licence"]);
    let list = |map: &std::collections::BTreeMap<String, String>| {
        map.iter().map(|(what, how)| format!("{what}: {how}")).collect::<Vec<_>>().join("; ")
    };
    for engine in answers.catalog.all::<Engine>()?.values() {
        table.row([
            engine.name.clone().into(),
            engine.version.clone().unwrap_or_else(unknown).into(),
            or_unknown(engine.weight_formats.join(", ")).into(),
            or_unknown(list(&engine.parallel)).into(),
            or_unknown(list(&engine.serving)).into(),
            engine.licence.clone().unwrap_or_else(unknown).into(),
        ]);
    }
    page.table(table);
    Ok(document)
}

/// `model-quality.md`.
pub(super) fn quality(answers: Answers<'_>) -> Document {
    let mut document =
        new("model-quality.md", "Model quality", "How good the models are, with intervals");
    let page = &mut document.page;
    page.paragraph(format!(
        "Index for {}, 0 to 100, from every published score of the benchmarks that speak of it; 80 % interval \
         in brackets. Scores by somebody without an interest count double.",
        answers.models.task
    ));
    let mut table = Table::new(&[
        ">#",
        "model",
        ">index",
        ">parameters",
        ">weights GiB",
        "released",
        "licence",
    ]);
    let mut scored: Vec<&ComparedModel> =
        answers.models.models.iter().filter(|one| one.quality_index.is_some()).collect();
    scored.sort_by(|a, b| {
        let value = |one: &ComparedModel| one.quality_index.map_or(0.0, |it| it.value);
        value(b).total_cmp(&value(a)).then_with(|| a.id.cmp(&b.id))
    });
    for (place, one) in scored.into_iter().enumerate() {
        table.row([
            (place + 1).to_string().into(),
            one.name.clone().into(),
            index(one.quality_index).into(),
            billions(one.parameters).into(),
            one.weights_bytes.map_or_else(unknown, gib).into(),
            one.released.clone().unwrap_or_else(unknown).into(),
            one.licence.clone().unwrap_or_else(unknown).into(),
        ]);
    }
    page.table(table);
    document
}

/// `alternative-platforms-research.md`.
pub(super) fn alternatives(answers: Answers<'_>) -> Document {
    Document {
        path: "alternative-platforms-research.md".to_owned(),
        title: "Alternative platforms".to_owned(),
        purpose: "Every platform that was considered, with the number that decides",
        page: crate::survey::page(answers.survey),
    }
}

/// `tiers.md`.
pub(super) fn tiers(answers: Answers<'_>) -> Document {
    let mut document = new("tiers.md", "Hardware tiers", "What each class of machine runs");
    for (name, fit) in answers.tiers {
        document.page.heading(2, name.clone());
        let asked = &fit.asked;
        document.page.paragraph(format!(
            "Stands for: {}. For {} with {} of {} tokens{}; speeds at half that depth, on the slowest of \
             them; ordered by the lower end of the index.",
            fit.machines.join(", "),
            asked.task,
            if asked.streams == 1 { "one stream".to_owned() } else { format!("{} streams", asked.streams) },
            count(asked.context_tokens),
            asked.speed_minimum_tok_per_s.map_or_else(String::new, |least| {
                format!(" at {} tok/s or more", tokens_per_second(least))
            })
        ));
        if fit.scored.is_empty() {
            let miss = fit.nearest_miss.clone().unwrap_or_else(|| "nothing near".to_owned());
            document.page.paragraph(format!("Nothing that was asked runs; nearest: {miss}."));
        }
        let mut best = Page::default();
        crate::fit::list(&mut best, "Best models", &fit.scored, (5, "run as asked"));
        crate::fit::by_name(&mut best, &fit.named);
        document.page.append(best, 1);
    }
    document
}

/// `claims.md`.
pub(super) fn claims(answers: Answers<'_>) -> Document {
    Document {
        path: "claims.md".to_owned(),
        title: "Claims checked".to_owned(),
        purpose: "What earlier documents say, and what holds",
        page: crate::audit::claims(answers.claims, true),
    }
}
