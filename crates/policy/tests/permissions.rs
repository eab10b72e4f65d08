//! The golden permission table: `permissions.txt` is what the built-in policies really say.

use mandate_kernel::Action;
use mandate_policy::{ROLES, role_table};

#[test]
fn the_table_is_what_the_policies_say() {
    let table = role_table().unwrap();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/permissions.txt");
    if std::env::var_os("MANDATE_BLESS").is_some() {
        std::fs::write(path, &table).unwrap();
    }
    let golden = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(table, golden, "the policies changed what roles may do: read the difference, then MANDATE_BLESS=1");
}

#[test]
fn every_action_and_role_is_listed_and_strangers_get_nothing() {
    let golden = role_table().unwrap();
    let mut lines = golden.lines();
    let header: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
    for role in ROLES {
        assert!(header.contains(role), "{role} is not in the table");
    }
    let rows: Vec<Vec<&str>> = lines.map(|l| l.split_whitespace().collect()).collect();
    assert_eq!(rows.len(), Action::ALL.len());
    let column = |name: &str| header.iter().position(|h| *h == name).unwrap();
    for action in Action::ALL {
        let row = rows.iter().find(|r| r[1] == action.as_str()).unwrap_or_else(|| panic!("{action} is not listed"));
        assert_eq!(row[0], action.resource_kind().as_str());
        // An approval is answered by whoever is in the group that was asked, without a role.
        let stranger = if *action == Action::ApprovalDecide { "if" } else { "-" };
        assert_eq!((row[column("stranger")], row[column("foreign-admin")]), (stranger, "-"), "{action}");
        assert_eq!(row.len(), header.len());
    }
}
