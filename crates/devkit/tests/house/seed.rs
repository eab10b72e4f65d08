//! What the house asks to be applied, read by the directory's own types.

use crate::platform::world;
use mandate_devkit::{ACCOUNTS, Account};
use mandate_directory::{FunctionSpec, Manifest, RoleBindingSpec, Spec, Target, own_authority, roles_on};
use mandate_kernel::{Caller, Duration, Environment, GroupName, Principal, Project, ResourceName, Tenant, Timestamp};
use std::collections::BTreeSet;

pub(crate) fn caller(name: &str) -> Caller {
    let account = ACCOUNTS.iter().find(|account| account.name == name).unwrap();
    let Account { tenant, groups, .. } = *account;
    let groups = groups.iter().map(|group| GroupName::new(*group).unwrap()).collect();
    Caller::new(Principal::user(Tenant::new(tenant).unwrap(), name), groups)
}

#[tokio::test]
async fn every_manifest_reads_and_they_fit_each_other() {
    let world = world().await;
    let typed = |tenant: &str| -> Vec<(String, Spec)> {
        let manifests = world.house.seed_manifests(tenant).into_iter();
        manifests
            .map(|json| {
                let manifest = Manifest::from_json(json).unwrap();
                (manifest.metadata.name.to_string(), manifest.typed().unwrap())
            })
            .collect()
    };
    let demo = typed("demo");
    let spec = |name: &str| &demo.iter().find(|(n, _)| n == name).unwrap().1;
    let Spec::Credential(key) = spec("finance/ledgerbook-key") else { panic!() };
    assert_eq!(key.destinations, BTreeSet::from([world.house.ledgerbook_url()]));
    let Spec::Connection(ledgerbook) = spec("finance/ledgerbook") else { panic!() };
    let sandbox = Environment::new("sandbox").unwrap();
    assert_eq!(ledgerbook.environments.keys().collect::<Vec<_>>(), [&sandbox]);
    assert_eq!(ledgerbook.environments[&sandbox].url, world.house.ledgerbook_url());
    for (_, spec) in &demo {
        if let Spec::Connection(connection) = spec {
            connection.check().unwrap();
            assert_eq!(connection.environments.keys().collect::<Vec<_>>(), [&sandbox]);
        }
    }
    let Spec::Connection(smtp) = spec("finance/smtp") else { panic!() };
    assert_eq!(smtp.environments[&sandbox].mail_server().unwrap().url(), world.house.smtp_address());
    let Spec::Credential(login) = spec("finance/smtp-login") else { panic!() };
    let server = world.house.smtp_address();
    assert_eq!(login.destinations, BTreeSet::from(["mailto:board@demo.example".to_owned(), server]));
    let Spec::Entitlement(entitlement) = spec("finance/finance-leads") else { panic!() };
    let authority =
        |name: &str| own_authority([entitlement], &caller(name), &sandbox, Timestamp::EPOCH, Duration::from_secs(60));
    assert_eq!(authority("finance-lead").functions.len(), 3);
    for name in ["finance-analyst", "finance-director", "product-lead", "admin", "auditor"] {
        assert!(authority(name).functions.is_empty(), "{name}");
    }
    let Spec::Entitlement(clerks) = spec("claims/claims-clerks") else { panic!() };
    for (name, functions) in [("claims-clerk", 5), ("claims-handler", 0), ("claims-lead", 0), ("finance-lead", 0)] {
        let may = own_authority([clerks], &caller(name), &sandbox, Timestamp::EPOCH, Duration::from_secs(60));
        assert_eq!(may.functions.len(), functions, "{name}");
    }
    let Spec::Entitlement(product) = spec("product/product") else { panic!() };
    let may = own_authority([product], &caller("product-lead"), &sandbox, Timestamp::EPOCH, Duration::from_secs(60));
    assert_eq!(may.functions.len(), 2);
    assert!(typed("third").is_empty());
    assert_eq!(typed("other").len(), 1);
}

#[tokio::test]
async fn roles_are_those_that_the_accounts_say() {
    let world = world().await;
    let mut bindings: Vec<RoleBindingSpec> = Vec::new();
    let seeded = world.house.seed_manifests("demo").into_iter().chain(crate::sample::manifests());
    for json in seeded {
        if let Spec::RoleBinding(binding) = Manifest::from_json(json).unwrap().typed().unwrap() {
            bindings.push(binding);
        }
    }
    let worker = ResourceName::new("finance/quarterly-summary").unwrap();
    let key = ResourceName::new("finance/ledgerbook-key").unwrap();
    let finance = Project::new("finance").unwrap();
    let on = |name: &str, resource| -> Vec<String> {
        roles_on(&bindings, &caller(name), Some(&finance), Some(resource)).into_iter().collect()
    };
    for (name, on_worker, on_key) in [
        ("admin", &["tenant-admin"][..], &["tenant-admin"][..]),
        ("finance-lead", &["runner"], &[]),
        ("finance-director", &["owner", "viewer"], &["credential-owner", "owner"]),
        ("finance-analyst", &[], &[]),
        ("product-lead", &[], &[]),
        ("auditor", &["auditor"], &["auditor"]),
    ] {
        assert_eq!(
            (on(name, &worker).as_slice(), on(name, &key).as_slice()),
            (
                on_worker.iter().map(ToString::to_string).collect::<Vec<_>>().as_slice(),
                on_key.iter().map(ToString::to_string).collect::<Vec<_>>().as_slice(),
            ),
            "{name}"
        );
    }
}

#[test]
fn functions_call_what_the_house_serves() {
    for json in crate::sample::manifests() {
        if let Spec::Function(function) = Manifest::from_json(json).unwrap().typed().unwrap() {
            let FunctionSpec { target, .. } = *function;
            let served: &[&str] = match target {
                Target::Http(_) => &["warehouse", "ledgerbook", "reports", "claims-system", "documents"],
                Target::Model(_) => &["model"],
                Target::Mail(_) => &["smtp"],
                Target::Call(_) | Target::Local(_) | Target::Review(_) => continue,
            };
            assert!(served.contains(&target.connection().unwrap()), "{served:?}");
        }
    }
}

/// Who starts a claim's run, who answers for it, and who owns the Worker are three.
#[test]
fn nobody_starts_what_they_answer_for() {
    let manifests = crate::sample::manifests();
    let bindings = manifests.into_iter().filter_map(|json| match Manifest::from_json(json).unwrap().typed().unwrap() {
        Spec::RoleBinding(binding) => Some(binding),
        _ => None,
    });
    let bindings: Vec<RoleBindingSpec> = bindings.collect();
    let on = |name: &str, resource: &str| -> Vec<String> {
        let resource = ResourceName::new(resource).unwrap();
        roles_on(&bindings, &caller(name), Some(&resource.project()), Some(&resource)).into_iter().collect()
    };
    for (name, worker, key) in [
        ("claims-clerk", &["runner"][..], &[][..]),
        ("claims-handler", &["approver"], &[]),
        ("claims-lead", &["approver", "owner"], &["credential-owner", "owner"]),
        ("finance-director", &[], &[]),
        ("product-lead", &[], &[]),
    ] {
        assert_eq!(on(name, "claims/claim-processing"), worker, "{name}");
        assert_eq!(on(name, "claims/model-key"), key, "{name}");
    }
    for four in ["stale-data", "mis-scoped-retrieval", "prompt-injection", "bad-transform"] {
        let worker = format!("finance/forensics-{four}");
        assert_eq!(on("finance-lead", &worker), ["runner"]);
        assert_eq!(on("finance-director", &worker), ["owner", "viewer"]);
    }
    assert_eq!(on("product-lead", "product/meeting-summary"), ["runner"]);
    assert_eq!(on("product-lead", "product/model-key"), ["credential-owner"]);
}
