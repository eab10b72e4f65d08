//! The cases of an invented insurer: the same at every start. Contracts stand for people; nobody is named.

use rusqlite::{Connection, params};

/// Contract, first and last day of its cover, excess and limit in cents.
const CONTRACTS: &[(&str, &str, &str, i64, i64)] = &[
    ("CT-2001", "2024-01-01", "2030-12-31", 15_000, 2_000_000),
    ("CT-2002", "2025-07-01", "2030-06-30", 30_000, 1_500_000),
    ("CT-2003", "2023-04-01", "2030-03-31", 50_000, 5_000_000),
    ("CT-2004", "2022-01-01", "2025-12-31", 15_000, 1_000_000),
];

/// A claim with its positions.
struct Case {
    claim: &'static str,
    contract: &'static str,
    loss_on: &'static str,
    lodged_on: &'static str,
    kind: &'static str,
    description: &'static str,
    positions: &'static [(&'static str, i64)],
}

const CASES: &[Case] = &[
    Case {
        claim: "CL-1001",
        contract: "CT-2001",
        loss_on: "2026-09-14",
        lodged_on: "2026-09-16",
        kind: "Glass broke in a storm.",
        description: "A window of the kitchen broke in the storm. The neighbour saw it.",
        positions: &[("Glazier", 98_000), ("Temporary cover", 12_500)],
    },
    Case {
        claim: "CL-1002",
        contract: "CT-2002",
        loss_on: "2026-10-02",
        lodged_on: "2026-10-05",
        kind: "Water damaged a floor.",
        description: "A pipe in the bathroom leaked. My daughter was at home when it began.",
        positions: &[("Drying", 184_000), ("Floor", 356_000), ("Plumber", 97_500)],
    },
    Case {
        claim: "CL-1003",
        contract: "CT-2003",
        loss_on: "2026-10-21",
        lodged_on: "2026-10-22",
        kind: "Fire damaged a workshop.",
        description: "The fire began in the workshop. One of us was treated for smoke.",
        positions: &[("Machines", 1_240_000), ("Roof", 690_000), ("Clearing", 145_000)],
    },
    Case {
        claim: "CL-1004",
        contract: "CT-2004",
        loss_on: "2026-08-30",
        lodged_on: "2026-09-01",
        kind: "A bicycle was stolen.",
        description: "A bicycle was taken from the yard.",
        positions: &[("Bicycle", 119_000)],
    },
];

/// Puts contracts and claims in, if there are none.
pub(crate) fn seed(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    let count: i64 = transaction.query_row("SELECT count(*) FROM claims", [], |row| row.get(0))?;
    if count == 0 {
        for (contract, begins, ends, excess, limit) in CONTRACTS {
            let row = params![contract, begins, ends, excess, limit];
            transaction.execute("INSERT INTO contracts VALUES (?1, ?2, ?3, ?4, ?5)", row)?;
        }
        for case in CASES {
            let claimant = format!("policyholder of {}", case.contract);
            let account = format!("account of {}", case.contract);
            transaction.execute(
                "INSERT INTO claims VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![
                    case.claim,
                    case.contract,
                    case.loss_on,
                    case.lodged_on,
                    case.kind,
                    claimant,
                    account,
                    case.description
                ],
            )?;
            for (item, cents) in case.positions {
                transaction.execute("INSERT INTO positions VALUES (?1, ?2, ?3)", params![case.claim, item, cents])?;
            }
        }
    }
    transaction.commit()
}
