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
