//! The price policy on a catalog with a handful of observations, against amounts worked out by hand.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use localrig_facts::catalog::File;
use localrig_facts::region::Region;
use localrig_facts::{Catalog, Id};
use localrig_plan::price::{Goods, Market, NoPrice, Price, PriceBasis};

const HEADER: &str = "item,variant,product,amount,amount_high,currency,condition,kind,vat,shop,date,read,link,source,note\n";
const RATES: &str =
    "date,base,quote,rate,source\n2026-07-09,EUR,USD,1.1435,ecb\n2026-07-09,EUR,CHF,0.9227,ecb\n";
const CARD: &str = "gpu/nvidia/rtx-5090";

/// The embedded catalog with these observations in place of its own: region, then the rest of a
/// row: amount, high, currency, condition, vat, date.
fn catalog(rows: &[(&str, &str)]) -> Catalog {
    let embedded = localrig_world::catalog(&[]).unwrap();
    let kept = embedded
        .files()
        .filter(|(path, _)| !path.starts_with("price/") || *path == "price/source.toml");
    let mut files: Vec<(String, File)> =
        kept.map(|(path, file)| (path.to_owned(), file.clone())).collect();
    let mut add = |path: String, text: String| {
        files.push((path.clone(), File { text: text.into(), path }));
    };
    add("price/rate.csv".to_owned(), RATES.to_owned());
    for (number, (region, row)) in rows.iter().enumerate() {
        let [amount, high, currency, condition, vat, date] =
            row.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let high = high.trim_matches('-');
        let text = format!(
            "{HEADER}{CARD},,card {number},{amount},{high},{currency},{condition},offer,{vat},toppreise,{date},2026-11-20,,february-research,\n"
        );
        add(format!("price/{region}/{}.csv", 2000 + number), text);
    }
    Catalog::from_files(files)
}

fn price(rows: &[(&str, &str)], date: &str, goods: Goods) -> Result<Price, NoPrice> {
    let catalog = catalog(rows);
    let (_, region) = catalog.get_in::<Region>("ch").unwrap();
    let date = date.parse().unwrap();
    Market { catalog: &catalog, region_id: "ch", region, date }.price(&Id::new(CARD), None, goods)
}

const CH_FEB: (&str, &str) = ("ch", "2200 - CHF new included 2026-02-17");
const US_JUL: (&str, &str) = ("us", "1000 - USD new excluded 2026-07-15");
const DE_JUL: (&str, &str) = ("de", "1190 - EUR new included 2026-07-15");

#[test]
fn a_regional_price_wins_while_it_is_younger_than_sixty_days() {
    let rows = [CH_FEB, ("us", "1000 - USD new excluded 2026-04-10")];
    let day_59 = price(&rows, "2026-04-17", Goods::New).unwrap();
    assert_eq!((day_59.basis, day_59.age_days), (PriceBasis::Regional, 59));
    assert_eq!(day_59.amount.to_string(), "CHF 2,200");
    // On day 60 it is stale; the newer one from abroad has no rate known by then, which is said.
    let day_60 = price(&rows, "2026-04-18", Goods::New).unwrap();
    assert_eq!((day_60.basis, day_60.age_days), (PriceBasis::Stale, 60));
    assert_eq!(
        day_60.note.as_deref(),
        Some("asked at USD 1,000 elsewhere on 2026-04-10, which cannot be converted")
    );
    // Nothing else: no price, and why.
    let alone = price(&rows[1..], "2026-04-18", Goods::New).unwrap_err();
    assert!(matches!(alone, NoPrice::NoRate { .. }), "{alone}");
}

#[test]
fn a_foreign_net_price_lands_with_freight_vat_and_clearance() {
    let landed = price(&[CH_FEB, US_JUL], "2026-08-01", Goods::New).unwrap();
    assert_eq!(landed.basis, PriceBasis::Derived);
    // (1000 * 0.9227 / 1.1435 + (60 + 180) / 2) * 1.081 + (20 + 100) / 2 = 1061.99
    assert_eq!(landed.amount.to_string(), "CHF 1,061.99");
    // (806.91 + 60) * 1.081 + 20 and (806.91 + 180) * 1.081 + 100
    assert_eq!(landed.low.to_string(), "CHF 957.13");
    assert_eq!(landed.high.to_string(), "CHF 1,166.85");
    let stale = landed.stale_regional.unwrap();
    assert_eq!((stale.amount.to_string().as_str(), stale.age_days), ("CHF 2,200", 165));
    assert!(landed.derivation.unwrap().contains("USD/CHF of 2026-07-09"));
}

#[test]
fn a_foreign_price_with_vat_is_taken_net() {
    let landed = price(&[DE_JUL], "2026-08-01", Goods::New).unwrap();
    // (1190 / 1.19 * 0.9227 + (20 + 60) / 2) * 1.081 + 60 = 1100.68
    assert_eq!(landed.amount.to_string(), "CHF 1,100.68");
    // Without an export invoice: (1190 * 0.9227 + 60) * 1.081 + 100 = 1351.81
    assert_eq!(landed.high.to_string(), "CHF 1,351.81");
}

#[test]
fn the_regions_own_newest_price_is_stale_not_converted() {
    let stale = price(&[CH_FEB], "2026-11-21", Goods::New).unwrap();
    assert_eq!((stale.basis, stale.age_days), (PriceBasis::Stale, 277));
    assert_eq!(stale.amount.to_string(), "CHF 2,200");
    assert!(stale.stale_regional.is_none());
}

#[test]
fn nothing_later_than_the_day_is_known() {
    let before = price(&[CH_FEB, US_JUL], "2026-02-16", Goods::New).unwrap_err();
    assert!(matches!(before, NoPrice::NeverSeen { .. }), "{before}");
    // A month is known only when it is over.
    let month = [("us", "1000 - USD new excluded 2026-09")];
    assert!(price(&month, "2026-09-29", Goods::New).is_err());
    assert!(price(&month, "2026-09-30", Goods::New).is_ok());
}

#[test]
fn the_spread_of_what_sources_say_at_the_same_time_is_shown() {
    let rows = [CH_FEB, ("ch", "2500 2700 CHF new included 2026-02-01")];
    let seen = price(&rows, "2026-02-20", Goods::New).unwrap();
    assert_eq!(seen.amount.to_string(), "CHF 2,200");
    assert_eq!(seen.spread.unwrap().map(|one| one.to_string()), ["CHF 2,200", "CHF 2,700"]);
    let agreeing = [CH_FEB, ("ch", "2210 - CHF new included 2026-02-01")];
    assert!(price(&agreeing, "2026-02-20", Goods::New).unwrap().spread.is_none());
    let long_ago = [CH_FEB, ("ch", "3000 - CHF new included 2025-10-01")];
    assert!(price(&long_ago, "2026-02-20", Goods::New).unwrap().spread.is_none());
}

#[test]
fn used_goods_have_their_own_price() {
    let rows = [CH_FEB, ("ch", "1400 - CHF used included 2026-02-18")];
    assert_eq!(price(&rows, "2026-02-20", Goods::New).unwrap().amount.to_string(), "CHF 2,200");
    assert_eq!(price(&rows, "2026-02-20", Goods::Used).unwrap().amount.to_string(), "CHF 1,400");
    let only_new = price(&[CH_FEB], "2026-02-20", Goods::Used).unwrap_err();
    assert!(matches!(only_new, NoPrice::OtherCondition { .. }), "{only_new}");
}

#[test]
fn the_cheapest_offer_of_the_newest_day_counts() {
    let rows = [
        ("ch", "2400 - CHF new included 2026-02-17"),
        ("ch", "2300 - CHF new included 2026-02-17"),
        ("ch", "2000 - CHF new included 2026-02-01"),
    ];
    assert_eq!(price(&rows, "2026-02-20", Goods::New).unwrap().amount.to_string(), "CHF 2,300");
}
