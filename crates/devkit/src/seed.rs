//! The resources that hold addresses of the house, or that a tenant needs before anybody can do
//! anything in it.

use crate::{DEMO, Devkit, OTHER};
use serde_json::{Value, json};

impl Devkit {
    /// What to apply to a tenant at each start, as manifests in an order that applies: addresses may
    /// have changed. Empty for a tenant that the house does not know.
    ///
    /// There is a sandbox only: no connection names a production address, so that a run in production
    /// has no destination and is refused at its start.
    #[must_use]
    pub fn seed_manifests(&self, tenant: &str) -> Vec<Value> {
        match tenant {
            DEMO => {
                let mut manifests = self.connections();
                manifests.extend([self.credential(), self.entitlement()]);
                manifests.extend([
                    role("platform/administrators", "user:admin", "tenant-admin", json!("tenant")),
                    role("platform/auditors", "user:auditor", "auditor", json!("tenant")),
                    role("product/owners", "user:product-lead", "owner", json!({"project": "product"})),
                ]);
                manifests
            }
            OTHER => vec![role("platform/administrators", "user:other-admin", "tenant-admin", json!("tenant"))],
            _ => Vec::new(),
        }
    }

    fn connections(&self) -> Vec<Value> {
        let (warehouse, ledgerbook, reports) = (self.warehouse_url(), self.ledgerbook_url(), self.reports_url());
        vec![
            manifest(
                "Connection",
                "finance/warehouse",
                json!({
                    "description": "The data warehouse. It verifies hop tokens.",
                    "environments": {"sandbox": {"url": warehouse, "audience": warehouse}},
                }),
            ),
            manifest(
                "Connection",
                "finance/ledgerbook",
                json!({
                    "description": "Ledgerbook, a legacy system. It knows one static key.",
                    "environments": {"sandbox": {"url": ledgerbook}},
                    "slot": {"header": "x-api-key"},
                }),
            ),
            manifest(
                "Connection",
                "finance/reports",
                json!({
                    "description": "Finance's reports. It verifies hop tokens and gets the envelope.",
                    "environments": {"sandbox": {"url": reports, "audience": reports}},
                    "envelope": true,
                }),
            ),
        ]
    }

    fn credential(&self) -> Value {
        manifest(
            "Credential",
            "finance/ledgerbook-key",
            json!({
                "description": "The static key to ledgerbook.",
                "owner": "user:finance-director",
                "environment": "sandbox",
                "destinations": [self.ledgerbook_url()],
            }),
        )
    }

    /// What finance leads may do at the warehouse and at the reports, and so may lend to a run.
    fn entitlement(&self) -> Value {
        let quarter = json!({"/quarter": {"prefix": "20"}});
        manifest(
            "Entitlement",
            "finance/finance-leads",
            json!({
                "subjects": ["group:finance-leads"],
                "environments": ["sandbox"],
                "scopes": ["warehouse.revenue.read", "report.publish"],
                "audiences": [self.warehouse_url(), self.reports_url()],
                "functions": {"warehouse.revenue": quarter, "report.publish": quarter},
            }),
        )
    }
}

fn manifest(kind: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": "mandate.dev/v1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

fn role(name: &str, subject: &str, role: &str, on: Value) -> Value {
    manifest("RoleBinding", name, json!({"subjects": [subject], "role": role, "on": on}))
}
