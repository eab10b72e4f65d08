//! TLS ended by the server itself: with a certificate made here, read again when it is told to.

use super::serve::Process;
use crate::house::process::{mandate, unused_port};
use mandate_identity::Jwks;
use mandate_kernel::{Ed25519Signer, Signer, SystemEntropy};
use rcgen::CertifiedKey;
use reqwest::{Certificate, Client};
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// Puts a new certificate for this machine in place; gives it as the root to trust.
fn new_certificate(folder: &Path) -> Certificate {
    let CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = folder.join("key.pem");
    let pem = |label: &str, der: &[u8]| {
        let text = mandate_kernel::base64_encode(der);
        let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
    };
    std::fs::write(&key, pem("PRIVATE KEY", &signing_key.serialize_der())).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(folder.join("cert.pem"), pem("CERTIFICATE", cert.der())).unwrap();
    Certificate::from_der(cert.der()).unwrap()
}

fn trusting(root: Certificate) -> Client {
    Client::builder().no_proxy().tls_certs_only([root]).redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

#[tokio::test]
async fn a_server_ends_tls_itself() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let witness = Process::start(
        mandate().args(["witness", "--data-dir"]).arg(at("witness")).arg("--trust-logs").arg(at("data/trust.json")),
        &at("witness.log"),
    );
    let (signer, _) = Ed25519Signer::generate(&SystemEntropy).unwrap();
    std::fs::write(at("jwks.json"), Jwks::new([signer.public()]).to_json().to_string()).unwrap();
    let root = new_certificate(folder.path());
    let port = unused_port();
    let text = format!(
        "listen: 0.0.0.0:{port}\npublicUrl: https://localhost:{port}\ndataDir: {data}\nlogName: mandate.example\n\
         tls: {{certificate: {cert}, key: {key}}}\nrootKey:\n  file: {root}\nwitness:\n  url: {url}\n  vkey: {vkey}\n\
         tenants:\n  - name: demo\n    provider: {{issuer: 'https://sso.invalid', audience: 'https://api.example', jwksFile: {jwks}}}\n",
        data = at("data").display(),
        cert = at("cert.pem").display(),
        key = at("key.pem").display(),
        root = at("root.key").display(),
        url = witness.ready("url"),
        vkey = witness.ready("vkey"),
        jwks = at("jwks.json").display(),
    );
    std::fs::write(at("serve.yaml"), text).unwrap();
    let server = Process::start(mandate().args(["serve", "--config"]).arg(at("serve.yaml")), &at("serve.log"));
    let url = format!("https://localhost:{port}/auth/tenants");
    let client = trusting(root);
    let answer = client.get(&url).send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.headers()["strict-transport-security"].to_str().unwrap()),
        (200, "max-age=31536000")
    );
    let tenants: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(
        tenants["tenants"][0],
        json!({
            "tenant": "demo", "provider": "sso.invalid", "issuer": "https://sso.invalid", "browser": false,
            "command_line": null, "scopes": ["openid", "profile"],
        })
    );
    // Not in the clear, not by a certificate of somebody else.
    assert!(client.get(format!("http://localhost:{port}/auth/tenants")).send().await.is_err());
    let stranger = tempfile::tempdir().unwrap();
    assert!(trusting(new_certificate(stranger.path())).get(&url).send().await.is_err());

    // A new certificate is taken into use without a restart; one that doesn't fit is not.
    let next = trusting(new_certificate(folder.path()));
    let hangup = || {
        let told = std::process::Command::new("kill").args(["-HUP", &server.0.id().to_string()]).status().unwrap();
        assert!(told.success());
    };
    hangup();
    let begun = Instant::now();
    while next.get(&url).send().await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(10), "the new certificate is not in use");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    std::fs::write(at("cert.pem"), "nonsense").unwrap();
    hangup();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(next.get(&url).send().await.unwrap().status(), 200);
    assert!(std::fs::read_to_string(at("serve.log")).unwrap().contains("the certificate in use is kept"));
    drop(server);

    // What can't be served is told at the start.
    new_certificate(folder.path());
    std::fs::set_permissions(at("key.pem"), std::fs::Permissions::from_mode(0o640)).unwrap();
    let ran = crate::house::process::run(mandate().args(["serve", "--config"]).arg(at("serve.yaml")));
    assert!(ran.code != 0 && ran.stderr.contains("can be read by others"), "{ran:?}");
}
