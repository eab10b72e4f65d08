//! The figures of an invented company: the same at every start, and large enough to be worth adding up.

use mandate_kernel::Digest;

/// The first year with figures, and how many years there are.
const YEARS: std::ops::RangeInclusive<u32> = 2025..=2026;

/// Regions, with the weight of their revenue and of their costs in percent.
const REGIONS: &[(&str, i64, i64)] = &[
    ("Americas", 140, 130),
    ("Asia-Pacific", 90, 95),
    ("Europe", 120, 115),
    ("Middle East and Africa", 40, 55),
    ("Nordics", 60, 58),
];

/// Product lines with the revenue of an average region in the first quarter, in cents.
const PRODUCTS: &[(&str, i64)] = &[
    ("Analytics", 52_000_000),
    ("Billing", 34_500_000),
    ("Identity", 47_250_000),
    ("Integration", 28_000_000),
    ("Support", 19_800_000),
    ("Training", 8_400_000),
];

/// Cost centres with the costs of an average region in the first quarter, in cents.
const COST_CENTRES: &[(&str, i64)] =
    &[("Cloud", 31_000_000), ("Operations", 39_500_000), ("Research", 51_000_000), ("Sales", 45_500_000)];

/// One row: quarter, region, product line or cost centre, cents.
pub(crate) type Row = (String, &'static str, &'static str, i64);

/// Revenue by quarter, region and product line.
pub(crate) fn revenue() -> Vec<Row> {
    rows(PRODUCTS, |(_, weight, _)| *weight, 104)
}

/// Costs by quarter, region and cost centre.
pub(crate) fn costs() -> Vec<Row> {
    rows(COST_CENTRES, |(_, _, weight)| *weight, 103)
}

/// The desk that looks after a region's customers of a product line. People are not named.
pub(crate) fn desk(region: &str, product: &str) -> String {
    let [first, ..] = *Digest::of(format!("{region}\0{product}").as_bytes()).as_bytes();
    format!("desk-{:02}", first % 12 + 1)
}

/// The day that a quarter's figures are of: the tenth after its end, once it has ended.
pub(crate) fn as_of(quarter: &str) -> String {
    match quarter.split_once("-Q") {
        // The last quarter is not over; its figures are those of its middle.
        Some(("2026", "4")) => "2026-11-15".to_owned(),
        Some((year, "1")) => format!("{year}-04-10"),
        Some((year, "2")) => format!("{year}-07-10"),
        Some((year, "3")) => format!("{year}-10-10"),
        Some((year, _)) => format!("{}-01-10", year.parse::<u32>().map_or(0, |year| year + 1)),
        None => String::new(),
    }
}

fn rows(kinds: &[(&'static str, i64)], weight: fn(&(&str, i64, i64)) -> i64, growth: i64) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut level = 100_i64;
    for (year, quarter) in YEARS.flat_map(|year| (1..=4).map(move |quarter| (year, quarter))) {
        let name = format!("{year}-Q{quarter}");
        for region in REGIONS {
            for (kind, base) in kinds {
                let amount = base * weight(region) / 100 * level / 100;
                let amount = amount * per_mille(&name, region.0, kind) / 1000;
                rows.push((name.clone(), region.0, *kind, amount));
            }
        }
        level = level * growth / 100;
    }
    rows
}

/// Between 920 and 1080, fixed for each cell.
fn per_mille(quarter: &str, region: &str, kind: &str) -> i64 {
    let digest = Digest::of(format!("{quarter}\0{region}\0{kind}").as_bytes());
    let [first, second, ..] = *digest.as_bytes();
    920 + i64::from(u16::from_be_bytes([first, second])) % 161
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_many_positive_and_end_in_a_profit_with_losses_inside() {
        let (revenue, costs) = (revenue(), costs());
        assert_eq!((revenue.len(), costs.len()), (240, 160));
        assert!(revenue.iter().chain(&costs).all(|row| row.3 > 0));
        assert_eq!(revenue, super::revenue());
        let of = |rows: &[Row], region: Option<&str>| -> i64 {
            rows.iter().filter(|r| r.0 == "2026-Q3" && region.is_none_or(|region| r.1 == region)).map(|r| r.3).sum()
        };
        assert!(of(&revenue, None) > of(&costs, None));
        let africa = Some("Middle East and Africa");
        assert!(of(&revenue, africa) < of(&costs, africa));
    }
}
