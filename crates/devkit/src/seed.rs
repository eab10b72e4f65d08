//! The resources that hold addresses of the house, or that a tenant needs before anybody can do
//! anything in it.

use crate::{DEMO, Devkit, OTHER};
use serde_json::{Value, json};

/// The only address that Finance's mails may go to.
const BOARD: &str = "board@demo.example";

/// The audience of a question to people.
const PEOPLE: &str = "urn:mandate:review";

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
                manifests.extend(self.credentials());
                manifests.extend([self.finance_leads(), self.claims_clerks(), self.product()]);
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
        vec![
            receiver("finance/warehouse", "The data warehouse. It verifies hop tokens.", &self.warehouse_url(), false),
            locked(
                "finance/ledgerbook",
                "Ledgerbook, a legacy system. It knows one static key.",
                &self.ledgerbook_url(),
                json!({"header": "x-api-key"}),
            ),
            receiver(
                "finance/reports",
                "Finance's reports. It verifies hop tokens and gets the envelope.",
                &self.reports_url(),
                true,
            ),
            self.model("finance/model"),
            locked(
                "finance/smtp",
                "The mail server. Here it keeps what it is given and sends nothing on.",
                &self.smtp_address(),
                json!({"smtp": "auth"}),
            ),
            receiver("claims/claims-system", "The claims system. It verifies hop tokens.", &self.claims_url(), false),
            self.model("claims/model"),
            receiver("product/documents", "Product's documents. It verifies hop tokens.", &self.documents_url(), false),
            self.model("product/model"),
        ]
    }

    fn model(&self, name: &str) -> Value {
        let description = "A language model behind the OpenAI protocol. Here it is scripted and offline.";
        locked(name, description, &self.model_url(), json!({"header": "Authorization", "prefix": "Bearer "}))
    }

    fn credentials(&self) -> Vec<Value> {
        let model = |name: &str, owner: &str| {
            credential(name, owner, "The API key to the language model.", &[self.model_url()])
        };
        vec![
            credential(
                "finance/ledgerbook-key",
                "finance-director",
                "The static key to ledgerbook.",
                &[self.ledgerbook_url()],
            ),
            model("finance/model-key", "finance-director"),
            credential(
                "finance/smtp-login",
                "finance-director",
                "User and password of the mail server. The board is the only one it may write to.",
                &[format!("mailto:{BOARD}"), self.smtp_address()],
            ),
            model("claims/model-key", "claims-lead"),
            model("product/model-key", "product-lead"),
        ]
    }

    /// What finance leads may do at the warehouse and at the reports, and so may lend to a run.
    fn finance_leads(&self) -> Value {
        let quarter = json!({"/quarter": {"prefix": "20"}});
        manifest(
            "Entitlement",
            "finance/finance-leads",
            json!({
                "subjects": ["group:finance-leads"],
                "environments": ["sandbox"],
                "scopes": ["warehouse.revenue.read", "warehouse.desks.read", "report.publish"],
                "audiences": [self.warehouse_url(), self.reports_url()],
                "functions": {"warehouse.revenue": quarter, "warehouse.desks": quarter, "report.publish": quarter},
            }),
        )
    }

    /// What claims clerks may do at the claims system, and whom they may ask, and so may lend to a run.
    fn claims_clerks(&self) -> Value {
        let claim = json!({"prefix": "CL-"});
        manifest(
            "Entitlement",
            "claims/claims-clerks",
            json!({
                "subjects": ["group:claims-clerks"],
                "environments": ["sandbox"],
                "scopes": ["claims.read", "claims.validate", "claims.note", "claims.pay"],
                "audiences": [self.claims_url(), PEOPLE],
                "functions": {
                    "claims.read": {"/claim": claim},
                    "claims.validate": {"/contract": {"prefix": "CT-"}},
                    "claims.note": {"/claim": claim},
                    "claims.pay": {"/claim": claim, "/amount_cents": {"range": {"min": 1, "max": 5_000_000}}},
                    "approval": {},
                },
            }),
        )
    }

    /// What people of Product may do at the documents service, and so may lend to a run.
    fn product(&self) -> Value {
        let minutes = json!({"/document": {"prefix": "minutes-"}});
        manifest(
            "Entitlement",
            "product/product",
            json!({
                "subjects": ["group:product"],
                "environments": ["sandbox"],
                "scopes": ["documents.read", "documents.draft"],
                "audiences": [self.documents_url()],
                "functions": {"documents.read": minutes, "documents.draft": minutes},
            }),
        )
    }
}

/// A receiver of hop tokens, and of the run's envelope if it wants that.
fn receiver(name: &str, description: &str, url: &str, envelope: bool) -> Value {
    let mut spec = json!({"description": description, "environments": {"sandbox": {"url": url, "audience": url}}});
    if let (true, Some(map)) = (envelope, spec.as_object_mut()) {
        map.insert("envelope".to_owned(), Value::Bool(true));
    }
    manifest("Connection", name, spec)
}

/// A system behind a static credential.
fn locked(name: &str, description: &str, url: &str, slot: Value) -> Value {
    let spec = json!({"description": description, "environments": {"sandbox": {"url": url}}, "slot": slot});
    manifest("Connection", name, spec)
}

fn credential(name: &str, owner: &str, description: &str, destinations: &[String]) -> Value {
    let spec = json!({
        "description": description,
        "owner": format!("user:{owner}"),
        "environment": "sandbox",
        "destinations": destinations,
    });
    manifest("Credential", name, spec)
}

fn manifest(kind: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": "mandate.dev/v1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

fn role(name: &str, subject: &str, role: &str, on: Value) -> Value {
    manifest("RoleBinding", name, json!({"subjects": [subject], "role": role, "on": on}))
}
