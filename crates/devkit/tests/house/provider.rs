//! The development identity provider.

use crate::platform::{API, Answer, World, read, world};
use mandate_devkit::{ACCOUNTS, DEV_GRANT};
use mandate_identity::{Audience, Provider, ProviderConfig, TokenError};
use mandate_kernel::{Clock as _, Duration, SystemClock, Tenant};
use serde_json::Value;

async fn token(world: &World, tenant: &str, form: &str) -> Answer {
    let url = format!("{}/token", world.house.provider_url(tenant));
    let request = world.client.post(url).header("content-type", "application/x-www-form-urlencoded");
    read(request.body(form.to_owned()).send().await.unwrap()).await
}

fn asking(account: &str) -> String {
    format!("grant_type={}&account={account}", DEV_GRANT.replace(':', "%3A"))
}

/// The provider as the platform finds it: by its metadata.
async fn discovered(world: &World, tenant: &str) -> (Value, Provider) {
    let issuer = world.house.provider_url(tenant);
    let metadata = world.client.get(format!("{issuer}/.well-known/openid-configuration")).send().await.unwrap();
    let metadata = read(metadata).await.body;
    assert_eq!(metadata["issuer"], issuer);
    let jwks = world.client.get(metadata["jwks_uri"].as_str().unwrap()).send().await.unwrap().text().await.unwrap();
    let provider = Provider::new(ProviderConfig {
        issuer,
        audience: Audience::new(API).unwrap(),
        tenant: Tenant::new(tenant).unwrap(),
        jwks,
        groups_claim: "groups".to_owned(),
        types: vec!["at+jwt".to_owned()],
        leeway: Duration::from_secs(5),
    });
    (metadata, provider.unwrap())
}

#[tokio::test]
async fn each_account_gets_a_token_that_verifies_at_its_own_tenant_only() {
    let world = world().await;
    let (metadata, demo) = discovered(&world, "demo").await;
    let (_, other) = discovered(&world, "other").await;
    assert_eq!(metadata["token_endpoint"], format!("{}/token", world.house.provider_url("demo")));
    for account in ACCOUNTS {
        let answer = token(&world, account.tenant, &asking(account.name)).await;
        assert_eq!((answer.status, &answer.body["expires_in"]), (200, &900.into()), "{account:?}");
        assert_eq!(answer.headers["cache-control"], "no-store");
        let text = answer.body["access_token"].as_str().unwrap();
        let (own, foreign) = if account.tenant == "demo" { (&demo, &other) } else { (&other, &demo) };
        let verified = own.verify(text, SystemClock.now()).unwrap();
        assert_eq!(verified.caller.principal.subject(), format!("user:{}", account.name));
        let groups: Vec<&str> = verified.caller.groups.iter().map(|group| group.as_str()).collect();
        assert_eq!(groups, account.groups);
        assert!(matches!(
            foreign.verify(text, SystemClock.now()),
            Err(TokenError::UnknownKey | TokenError::BadSignature)
        ));
        let later = SystemClock.now().plus(Duration::from_secs(906));
        assert_eq!(own.verify(text, later), Err(TokenError::Expired));
    }
}

#[tokio::test]
async fn bad_requests_get_their_error_of_rfc_6749() {
    let world = world().await;
    let admin = asking("admin");
    for (tenant, form, error) in [
        ("demo", asking("nobody"), "invalid_grant"),
        ("demo", asking("other-admin"), "invalid_grant"),
        ("other", admin.clone(), "invalid_grant"),
        ("demo", format!("grant_type={}", DEV_GRANT.replace(':', "%3A")), "invalid_request"),
        ("demo", "account=admin".to_owned(), "invalid_request"),
        ("demo", format!("{admin}&account=auditor"), "invalid_request"),
        ("demo", String::new(), "invalid_request"),
        ("demo", "grant_type=client_credentials&account=admin".to_owned(), "unsupported_grant_type"),
    ] {
        let answer = token(&world, tenant, &form).await;
        assert_eq!((answer.status, &answer.body["error"]), (400, &error.into()), "{tenant} {form}");
    }
    assert_eq!(token(&world, "third", &admin).await.status, 404);
}

#[tokio::test]
async fn keys_and_addresses_last_over_a_restart() {
    let world = world().await;
    let (before, _) = discovered(&world, "demo").await;
    let answer = token(&world, "demo", &asking("admin")).await;
    let world = world.restart().await;
    let (after, provider) = discovered(&world, "demo").await;
    assert_eq!(before, after);
    assert!(provider.verify(answer.body["access_token"].as_str().unwrap(), SystemClock.now()).is_ok());
}

#[tokio::test]
async fn no_server_answers_under_a_foreign_name() {
    let world = world().await;
    let house = &world.house;
    let port = house.warehouse_url().rsplit(':').next().unwrap().to_owned();
    for (url, host, expected) in [
        (format!("{}/jwks.json", house.provider_url("demo")), "rebound.example".to_owned(), 421),
        (format!("{}/v1/revenue?quarter=2026-Q3", house.warehouse_url()), "rebound.example".to_owned(), 421),
        (format!("{}/v1/revenue?quarter=2026-Q3", house.warehouse_url()), "127.0.0.1".to_owned(), 421),
        (format!("{}/v1/revenue?quarter=2026-Q3", house.warehouse_url()), format!("localhost:{port}"), 401),
        (format!("{}/costs?quarter=2026-Q3", house.ledgerbook_url()), "rebound.example:80".to_owned(), 421),
        (house.report_url(), "rebound.example".to_owned(), 421),
    ] {
        let answer = world.client.get(&url).header("host", &host).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), expected, "{url} {host}");
    }
}
