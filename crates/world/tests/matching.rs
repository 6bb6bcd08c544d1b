//! Which item an offer belongs to, against the embedded catalog.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use localrig_facts::price::{Condition, PriceKind};
use localrig_facts::shop::Vat;
use localrig_facts::{Currency, Id};
use localrig_world::price::matching::{Match, Matcher, spellings};
use localrig_world::price::offer::Offer;

fn offer(product: &str, part_number: Option<&str>, link: Option<&str>) -> Offer {
    Offer {
        product: product.to_owned(),
        part_number: part_number.map(str::to_owned),
        amount: 1.0,
        amount_high: None,
        currency: Currency::Chf,
        condition: Condition::New,
        kind: PriceKind::Offer,
        vat: Vat::Included,
        shop: "digitec".to_owned(),
        date: "2026-11-20".parse().unwrap(),
        link: link.map(str::to_owned),
        note: None,
    }
}

fn said(matcher: &Matcher, offer: &Offer) -> String {
    match matcher.item_of(offer) {
        Match::One((id, variant)) => match variant {
            Some(variant) => format!("{id}:{variant}"),
            None => id.to_string(),
        },
        Match::Unclear(ids, reason) => {
            let ids: Vec<&str> = ids.iter().map(Id::as_str).collect();
            format!("? {} ({reason})", ids.join(", "))
        }
        Match::None => "-".to_owned(),
    }
}

#[test]
fn near_names_are_never_taken_for_the_item() {
    let catalog = localrig_world::catalog(&[]).unwrap();
    let matcher = Matcher::new(&catalog, []).unwrap();
    let page = "https://www.toppreise.ch/x/Y-p833823";
    let offers = [
        // Part number, page, exact name.
        offer("NVIDIA RTX Pro 6000 Blackwell Workstation (900-5G144-2200-000)", None, None),
        offer("whatever", Some("900-5G144-2200-000"), None),
        offer("RTX Pro 6000", None, Some(page)),
        offer("GeForce RTX 5090", None, None),
        // Another edition under the same number or page.
        offer("NVIDIA RTX Pro 6000 Blackwell Max-Q 900-5G144-2200-000", None, None),
        offer("RTX Pro 6000 Server Edition", None, Some(page)),
        // Names that look alike.
        offer("ASUS ROG Strix GeForce RTX 5090 OC 32GB", None, None),
        offer("Lenovo Legion 9 RTX 5090 Laptop 24GB", None, None),
        offer("PNY RTX PRO 6000 Blackwell 96GB", None, None),
        offer("GeForce RTX 5090 Laptop", None, None),
        // Kits of one size.
        offer("Kingston FURY Beast 64GB KF556C40BBK2-64", None, None),
        offer("Kingston FURY 64GB (2x32GB) DDR5-5600 KF556C40BBK2-64TX", None, None),
        offer("Kingston FURY Beast 32GB KF556C40BBK2-64", None, None),
        offer("Corsair Vengeance 64GB DDR5-6000", None, None),
        // Nothing of ours.
        offer("USB cable 2 m", None, None),
    ];
    let lines: Vec<String> =
        offers.iter().map(|one| format!("{} = {}", one.product, said(&matcher, one))).collect();
    insta::assert_snapshot!(lines.join("\n"), @"
    NVIDIA RTX Pro 6000 Blackwell Workstation (900-5G144-2200-000) = gpu/nvidia/rtx-pro-6000-blackwell-ws
    whatever = gpu/nvidia/rtx-pro-6000-blackwell-ws
    RTX Pro 6000 = gpu/nvidia/rtx-pro-6000-blackwell-ws
    GeForce RTX 5090 = gpu/nvidia/rtx-5090
    NVIDIA RTX Pro 6000 Blackwell Max-Q 900-5G144-2200-000 = ? gpu/nvidia/rtx-pro-6000-blackwell-ws (says `maxq`, which NVIDIA RTX PRO 6000 Blackwell Workstation Edition is not)
    RTX Pro 6000 Server Edition = ? gpu/nvidia/rtx-pro-6000-blackwell-ws (says `server`, which NVIDIA RTX PRO 6000 Blackwell Workstation Edition is not)
    ASUS ROG Strix GeForce RTX 5090 OC 32GB = ? gpu/nvidia/rtx-5090 (only its name looks alike: no part number, alias or page says what it is)
    Lenovo Legion 9 RTX 5090 Laptop 24GB = ? gpu/nvidia/rtx-5090 (only its name looks alike: no part number, alias or page says what it is)
    PNY RTX PRO 6000 Blackwell 96GB = ? gpu/nvidia/rtx-pro-6000-blackwell-maxq, gpu/nvidia/rtx-pro-6000-blackwell-server, gpu/nvidia/rtx-pro-6000-blackwell-ws (only its name looks alike: no part number, alias or page says what it is)
    GeForce RTX 5090 Laptop = ? gpu/nvidia/rtx-5090 (only its name looks alike: no part number, alias or page says what it is)
    Kingston FURY Beast 64GB KF556C40BBK2-64 = memory/kf556c40bbk2-64
    Kingston FURY 64GB (2x32GB) DDR5-5600 KF556C40BBK2-64TX = -
    Kingston FURY Beast 32GB KF556C40BBK2-64 = ? memory/kf556c40bbk2-64 (says 32 GB, which Kingston FURY Beast DDR5-5600 CL40 64 GB (2x32 GB) is not)
    Corsair Vengeance 64GB DDR5-6000 = -
    USB cable 2 m = -
    ");
}

#[test]
fn a_decision_holds_for_the_very_product_and_no_other() {
    let catalog = localrig_world::catalog(&[]).unwrap();
    let asus = offer("ASUS ROG Strix GeForce RTX 5090 OC 32GB", None, None);
    let item = Id::new("gpu/nvidia/rtx-5090");
    let aliases = spellings(&asus).into_iter().map(|text| (text, item.clone(), None));
    let matcher = Matcher::new(&catalog, aliases).unwrap();
    assert_eq!(said(&matcher, &asus), "gpu/nvidia/rtx-5090");
    let other = offer("ASUS ROG Strix GeForce RTX 5090 32GB", None, None);
    assert!(said(&matcher, &other).starts_with('?'));
}

#[test]
fn every_part_number_of_the_catalog_leads_to_its_own_item() {
    let catalog = localrig_world::catalog(&[]).unwrap();
    let matcher = Matcher::new(&catalog, []).unwrap();
    let mut checked = 0;
    for (id, gpu) in catalog.all::<localrig_facts::gpu::Gpu>().unwrap() {
        for number in &gpu.part_numbers {
            assert_eq!(said(&matcher, &offer("x", Some(number), None)), id.as_str(), "{number}");
            checked += 1;
        }
    }
    for (id, kit) in catalog.all::<localrig_facts::part::Memory>().unwrap() {
        if let Some(number) = &kit.part_number {
            assert_eq!(said(&matcher, &offer("x", Some(number), None)), id.as_str(), "{number}");
            checked += 1;
        }
    }
    assert!(checked > 10, "{checked}");
}
