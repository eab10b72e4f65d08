//! The people of the development house.

/// The tenant with the sample Workers.
pub const DEMO: &str = "demo";

/// The other tenant: it sees nothing of the first.
pub const OTHER: &str = "other";

/// One account of the development provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// Its name, the `sub` of its tokens.
    pub name: &'static str,
    /// The tenant whose provider knows it.
    pub tenant: &'static str,
    /// The groups its tokens name.
    pub groups: &'static [&'static str],
    /// What it is for.
    pub description: &'static str,
}

const fn account(
    tenant: &'static str,
    name: &'static str,
    groups: &'static [&'static str],
    description: &'static str,
) -> Account {
    Account { name, tenant, groups, description }
}

/// Every account.
pub const ACCOUNTS: &[Account] = &[
    account(DEMO, "admin", &["admins"], "administers the tenant; starts and approves nothing"),
    account(DEMO, "finance-lead", &["finance", "finance-leads"], "starts the Quarterly Performance Summary"),
    account(
        DEMO,
        "finance-director",
        &["finance", "finance-leadership"],
        "owns Finance's Workers and the ledgerbook key",
    ),
    account(DEMO, "finance-analyst", &["finance"], "may not even see the Worker"),
    account(DEMO, "product-lead", &["product"], "owns project product; has no right in Finance"),
    account(
        DEMO,
        "claims-clerk",
        &["claims", "claims-clerks"],
        "starts Claim Processing; answers for none of its runs",
    ),
    account(DEMO, "claims-handler", &["claims", "claims-handlers"], "says what is to be paid for larger claims"),
    account(DEMO, "claims-lead", &["claims", "claims-leadership"], "owns Claims' Workers and approves large payouts"),
    account(DEMO, "auditor", &["audit"], "reads and exports everything; changes nothing"),
    account(OTHER, "other-admin", &["admins"], "administers another tenant"),
];

impl Account {
    /// The account of that name at a tenant's provider.
    #[must_use]
    pub fn find(tenant: &str, name: &str) -> Option<&'static Self> {
        ACCOUNTS.iter().find(|account| account.tenant == tenant && account.name == name)
    }

    /// A tenant's accounts.
    #[must_use]
    pub fn of(tenant: &str) -> Vec<&'static Self> {
        ACCOUNTS.iter().filter(|account| account.tenant == tenant).collect()
    }
}
