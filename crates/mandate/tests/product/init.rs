//! `mandate init` as a new operator uses it: what it makes is served as it says, and its administrator signs in.

use super::browser::Browser;
use super::serve::Process;
use super::world::arg;
use crate::house::House;
use crate::house::process::{Ran, mandate, run, unused_port};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

fn issuer(house: &House) -> String {
    let about = house.http("GET", "/dev/provider", None, None).json();
    about["tenants"]["demo"]["issuer"].as_str().unwrap().to_owned()
}

/// `mandate init` of a tenant whose provider is the development house's, with more arguments.
fn init(house: &House, folder: &Path, port: u16, witness: u16, more: &[&str]) -> Ran {
    let (public, listen, witness) =
        (format!("http://127.0.0.1:{port}"), format!("127.0.0.1:{port}"), format!("127.0.0.1:{witness}"));
    let issuer = issuer(house);
    let mut args = vec!["init", arg(folder), "--tenant", "demo", "--issuer", &issuer, "--audience", house.url()];
    args.extend(["--client-id", "mandate-console", "--command-line-client-id", "mandate-cli", "--admin", "admin"]);
    args.extend(["--public-url", &public, "--listen", &listen, "--witness-listen", &witness, "-o", "json"]);
    // What is given twice counts the second time.
    let given: Vec<&str> = more.iter().step_by(2).copied().collect();
    let kept = args.chunks(1).map(|one| one[0]).collect::<Vec<_>>();
    let mut command = mandate();
    let mut rest = kept.iter().copied().peekable();
    while let Some(one) = rest.next() {
        if given.contains(&one) {
            rest.next();
        } else {
            command.arg(one);
        }
    }
    run(command.args(more))
}

/// A step of what is next, as a person would type it.
fn typed(step: &str) -> Command {
    let mut words = step.split(' ');
    assert_eq!(words.next(), Some("mandate"), "{step}");
    let mut command = mandate();
    command.args(words);
    command
}

#[test]
fn what_it_makes_is_served_and_its_administrator_signs_in() {
    let house = House::start();
    let folder = house.beside("first");
    let port = unused_port();
    let made = init(&house, &folder, port, unused_port(), &[]).exits(0).json();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(&folder.join("root.key"))), (0o700, 0o600));
    let steps: Vec<&str> = made["next"].as_array().unwrap().iter().map(|step| step.as_str().unwrap()).collect();
    let [register, witness, serve, login, doctor] = steps[..] else { panic!("{steps:?}") };
    assert!(register.contains(&format!("http://127.0.0.1:{port}/auth/callback")), "{register}");
    assert!(!std::fs::read_to_string(folder.join("mandate.yaml")).unwrap().contains("root.key: "));

    let witness = Process::start(&mut typed(witness), &house.beside("witness.log"));
    assert_eq!(witness.ready("vkey"), made["witness"]["vkey"].as_str().unwrap());
    let _server = Process::start(&mut typed(serve), &house.beside("serve.log"));
    let config = house.beside("config");
    let mut command = typed(login);
    command.arg("--device").env("MANDATE_CONFIG_DIR", &config);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let said = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    // The first such line names the page that asks for the code, the second the one that knows it.
    let complete = said.filter_map(|line| Some(line.split_once("open ")?.1.trim().to_owned())).nth(1).unwrap();
    let mut browser = Browser::default();
    let page = browser.get(&complete);
    assert_eq!(browser.press(&complete, &page, ("account", "admin")).status, 200);
    assert!(child.wait().unwrap().success());

    let url = format!("http://127.0.0.1:{port}");
    let as_admin =
        |args: &[&str]| run(mandate().env("MANDATE_CONFIG_DIR", &config).env("MANDATE_URL", &url).args(args));
    let bindings = as_admin(&["get", "RoleBinding", "-o", "json"]).exits(0).json();
    assert!(bindings.to_string().contains("user:admin"), "{bindings}");
    let looked = run(typed(doctor).env("MANDATE_CONFIG_DIR", &config));
    looked.exits(0);

    // Done again it changes nothing.
    let before = std::fs::read(folder.join("mandate.yaml")).unwrap();
    let again = init(&house, &folder, port, unused_port(), &[]).exits(2);
    assert!(again.stderr.contains("is not empty"), "{again:?}");
    assert_eq!(std::fs::read(folder.join("mandate.yaml")).unwrap(), before);
}

#[test]
fn what_it_is_told_is_checked_and_nothing_is_left_of_a_refusal() {
    let house = House::start();
    let folder = house.beside("refused");
    std::fs::write(house.beside("secret"), "s3cret-CANARY").unwrap();
    let open = house.beside("secret").to_str().unwrap().to_owned();
    let unused = format!("http://127.0.0.1:{}", unused_port());
    let cases: &[(&[&str], &str)] = &[
        (&["--public-url", "http://mandate.example.com"], "https"),
        (&["--public-url", "https://mandate.example.com/x"], "without a path"),
        (&["--listen", "0.0.0.0:8445"], "loopback"),
        (&["--issuer", "http://id.example.com"], "https"),
        (&["--issuer", &unused], "can't be used"),
        (&["--issuer", house.url()], "can't be used"),
        (&["--tenant", "No Tenant"], "--tenant"),
        (&["--admin", ""], "--admin"),
        (&["--log-name", "https://x"], "--log-name"),
        (&["--witness-url", "http://127.0.0.1:1"], "--witness-vkey"),
        (&["--witness-url", "http://127.0.0.1:1", "--witness-vkey", "x"], "--witness-vkey"),
        (&["--client-secret-file", &open], "can be read by others"),
        (&["--root-key-env", "A", "--root-key-systemd", "b"], "cannot be used with"),
        (&["--client-id", "a\nlisten: x"], "--client-id"),
    ];
    for (more, said) in cases {
        let ran = init(&house, &folder, 1, 2, more).exits(2);
        assert!(ran.stderr.contains(said), "{more:?}: {ran:?}");
        assert!(!ran.stderr.contains("CANARY"));
        assert!(!folder.exists(), "{more:?}");
    }
    let left: Vec<_> = std::fs::read_dir(folder.parent().unwrap()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("refused")), "{left:?}");
    // A hostile name of a client stays a name.
    let odd = init(&house, &folder, 1, 2, &["--client-id", "a: b # \"c\" 'd'"]).exits(0);
    assert!(odd.json()["config"].as_str().is_some());
    let text = std::fs::read_to_string(folder.join("mandate.yaml")).unwrap();
    let read: Value = mandate_flow::yaml::parse("mandate.yaml", &text).unwrap().into_value();
    assert_eq!(read["tenants"][0]["provider"]["clientId"], "a: b # \"c\" 'd'");
}
