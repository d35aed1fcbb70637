use super::*;

const SMALL: &str = r#"
[databases.acme]
url = "postgresql://wabridge@127.0.0.1/acme"
rpc_keys.odoo = { secret = "0123456789abcdef0123", act_as = "any" }
sealing_keys.k1 = { key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" }
"#;

fn refused(text: &str) -> String {
    Config::from_toml(text).expect_err("must be refused").to_string()
}

#[test]
fn small_settings_get_defaults() {
    let config = Config::from_toml(SMALL).unwrap();
    assert_eq!(config.public.listen.port(), 8470);
    let database = &config.databases["acme"];
    assert_eq!(database.wake_key().unwrap().0, "odoo");
    assert_eq!(database.key_ring("acme").unwrap().active_key_id(), "k1");
}

#[test]
fn shipped_example_loads() {
    let config =
        Config::from_toml(include_str!("../../../../deploy/wabridge.example.toml")).unwrap();
    assert!(!config.databases.is_empty());
}

#[test]
fn secrets_do_not_print() {
    let config = Config::from_toml(SMALL).unwrap();
    let text = format!("{config:?}");
    assert!(!text.contains("0123456789abcdef0123") && !text.contains("AAAAAAAA"), "{text}");
}

#[test]
fn each_refusal_names_the_setting() {
    let with = |extra: &str| format!("{extra}\n{SMALL}");
    assert!(refused("").contains("databases"));
    assert!(refused(&with("[public]\nlisten_on = \"x\"")).contains("listen_on"));
    assert!(refused(&with("[private]\nlisten = \"0.0.0.0:8471\"")).contains("private.insecure"));
    let tls = "[private]\nlisten = \"0.0.0.0:8471\"\ntls = { certificate_file = \"/c\", key_file = \"/k\" }";
    assert!(Config::from_toml(&with(tls)).is_ok(), "TLS is enough");
    assert!(refused(&with("[private]\nlisten = \"127.0.0.1:8470\"")).contains("public.listen"));
    assert!(refused(&with("[limits]\nlease_s = 5")).contains("provider_timeout_s"));
    assert!(
        refused(&SMALL.replace("0123456789abcdef0123", "short")).contains("rpc_keys.odoo.secret")
    );
    assert!(refused(&SMALL.replace("act_as = \"any\"", "act_as = \"none\"")).contains("act_as"));
    assert!(refused(&SMALL.replace("key = \"AAA", "key = \"*")).contains("sealing_keys"));
    let missing =
        SMALL.replace("secret = \"0123456789abcdef0123\"", "secret_file = \"/nonexistent/secret\"");
    assert!(refused(&missing).contains("/nonexistent/secret"));
    let twice = format!("{SMALL}{}", SMALL.replace("acme", "other"));
    assert!(refused(&twice).contains("key ids belong to one database"));
}

#[test]
fn scopes_and_rates_of_keys() {
    let with = |line: &str| SMALL.replace("act_as = \"any\"", &format!("act_as = \"any\", {line}"));
    assert!(refused(&with("scopes = [\"massage\"]")).contains("rpc_keys.odoo.scopes"));
    assert!(refused(&with("rate = { per_second = 0, burst = 1 }")).contains("rpc_keys.odoo.rate"));
    let config = Config::from_toml(&with("scopes = [\"message\", \"media\"]")).unwrap();
    let key = &config.databases["acme"].rpc_keys["odoo"];
    assert!(key.reaches("media") && !key.reaches("group"));
    assert!(Config::from_toml(SMALL).unwrap().databases["acme"].rpc_keys["odoo"].reaches("group"));
}

#[test]
fn every_namespace_is_a_scope() {
    let document: serde_json::Value =
        serde_json::from_str(include_str!("../../../../docs/openrpc.json")).unwrap();
    for method in document["methods"].as_array().unwrap() {
        let name = method["name"].as_str().unwrap();
        let scope = name.split('.').next().unwrap();
        assert!(scope == "rpc" || database::SCOPES.contains(&scope), "{name}");
    }
}

#[test]
fn keys_from_the_environment_and_from_a_directory() {
    let directory = tempfile::tempdir().unwrap();
    let new = wabridge_domain::seal::generate_key();
    std::fs::write(directory.path().join("k2.key"), new.expose()).unwrap();
    let given = |text: &str, pairs: &[(&str, &str)]| {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let environment = config::Environment::with_prefix("WABRIDGE")
            .prefix_separator("__")
            .separator("__")
            .try_parsing(true)
            .source(Some(pairs.collect()));
        Config::build(text, Some(environment))
    };
    let without = SMALL.replace(SMALL.lines().find(|l| l.starts_with("sealing_keys")).unwrap(), "");
    assert!(given(&without, &[]).unwrap_err().to_string().contains("sealing_keys"));
    let key = [("WABRIDGE__DATABASES__ACME__SEALING_KEYS__K7__KEY", new.expose())];
    let ring = given(&without, &key).unwrap().databases["acme"].key_ring("acme").unwrap();
    assert_eq!(ring.active_key_id(), "k7");
    let path = directory.path().display().to_string();
    let both = [("WABRIDGE__DATABASES__ACME__SEALING_KEYS_DIRECTORY", path.as_str())];
    let ring = given(SMALL, &both).unwrap().databases["acme"].key_ring("acme").unwrap();
    assert_eq!(ring.held().len(), 2);
    assert_eq!(ring.active_key_id(), "k1", "a new file alone changes nothing");
}
