//! Every RPC method × everybody, called directly at the daemon with a key that may act for any user: one table of
//! expectations. The methods come from `rpc.discover`, so a new one without a line here fails. The parameters are
//! good: who is refused is refused for who he is. Whatever is refused changes no row and asks no provider.

mod things;

use std::collections::BTreeSet;

use serde_json::{Value, json};
use wabridge_testkit::Series;

use crate::support::World;
use crate::support::tables::{changed, settled, tables};
use crate::support::world::{ADMIN, USER};
use things::{Things, world};

const SYSTEM: i32 = 1;
/// Assigned to account 1, but a portal user, respectively an employee without the addon's group.
const PORTAL: i32 = 21;
const NO_GROUP: i32 = 22;
/// Users of account 2, of no account; of the second company with account 3, and assigned to account 1 all the same.
const OF_TWO: i32 = 23;
const UNASSIGNED: i32 = 24;
const ELSEWHERE: i32 = 25;
/// Administrators: of the second company; archived.
const OTHER_ADMIN: i32 = 26;
const ARCHIVED: i32 = 27;
const NOBODY: i32 = 987_654;

/// The first company has accounts 1 and 2, the second account 3.
const PEOPLE: &str = "
    INSERT INTO res_partner (id, name, active) SELECT n, 'Person ' || n, true FROM generate_series(20, 27) n;
    INSERT INTO res_company (id, name, partner_id, currency_id) SELECT 2, 'Second', 20, currency_id FROM res_company WHERE id = 1;
    INSERT INTO res_users (id, login, active, share, partner_id, company_id, notification_type)
        SELECT n, 'user' || n, n <> 27, n = 21, n, CASE WHEN n IN (25, 26) THEN 2 ELSE 1 END, 'email' FROM generate_series(21, 27) n;
    INSERT INTO res_company_users_rel (cid, user_id) SELECT company_id, id FROM res_users WHERE id > 20;
    INSERT INTO res_groups (id, name) SELECT 30, name FROM res_groups WHERE id = 1;
    INSERT INTO res_groups_users_rel (gid, uid) VALUES (30, 21), (1, 22), (2, 23), (2, 24), (2, 25), (3, 26), (3, 27);
    INSERT INTO res_groups_users_rel (gid, uid) SELECT 2, uid FROM res_groups_users_rel WHERE gid = 3 AND uid > 20;
    UPDATE whatsapp_configuration SET company_id = 1 WHERE id = 1;
    INSERT INTO whatsapp_configuration (id, name, provider, channel_id, active, sequence, company_id, seal_uuid, base_url) VALUES
        (2, 'Sales', 'whapi', 'C-2', true, 20, 1, 'u-2', 'http://127.0.0.1:9'),
        (3, 'Second', 'whapi', 'C-3', true, 30, 2, 'u-3', 'http://127.0.0.1:9');
    INSERT INTO res_users_whatsapp_configuration_rel (whatsapp_configuration_id, res_users_id) VALUES
        (1, 21), (1, 22), (2, 23), (3, 25), (1, 25), (1, 27);
";

/// Who may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum For {
    /// Users of the account and administrators of its company.
    Users,
    /// Administrators of the account's company alone.
    Administrators,
    /// Administrators of whatever company.
    AnyAdministrator,
    /// It names no user.
    Everybody,
}

/// A method: for whom, what he is told who may, and what he is told who may not.
struct Expected(&'static str, For, i64, i64);

use For::{Administrators, AnyAdministrator, Everybody, Users};

/// Refusals are 1001, but for files: nobody learns whether there is one that he may not see.
const TABLE: &[Expected] = &[
    Expected("audit.verify", AnyAdministrator, 0, 1001),
    Expected("configuration.capabilities", Users, 0, 1001),
    Expected("configuration.health", Users, 0, 1001),
    Expected("configuration.register_webhook", Administrators, 0, 1001),
    Expected("configuration.seal", Administrators, 0, 1001),
    Expected("configuration.test", Users, 0, 1001),
    Expected("contact.block", Users, 0, 1001),
    Expected("contact.check", Users, 0, 1001),
    Expected("contact.erase", Administrators, 0, 1001),
    Expected("contact.opt_in", Users, 0, 1001),
    Expected("contact.opt_out", Users, 0, 1001),
    Expected("contact.refresh", Users, 0, 1001),
    Expected("group.add", Users, 0, 1001),
    Expected("group.create", Users, 0, 1001),
    Expected("group.demote", Users, 0, 1001),
    Expected("group.info", Users, 0, 1001),
    Expected("group.invite_link", Users, 0, 1001),
    Expected("group.join", Users, 0, 1001),
    Expected("group.leave", Users, 0, 1001),
    Expected("group.promote", Users, 0, 1001),
    Expected("group.remove", Administrators, 0, 1001),
    Expected("group.remove_everywhere", Administrators, 0, 1001),
    Expected("group.revoke_invite", Users, 0, 1001),
    Expected("group.update", Users, 0, 1001),
    Expected("journal.replay", Administrators, 0, 1001),
    Expected("journal.show", Administrators, 0, 1001),
    Expected("media.fetch_again", Users, 0, 1504),
    Expected("message.cancel", Users, 0, 1001),
    Expected("message.delete", Users, 0, 1001),
    Expected("message.edit", Users, 0, 1001),
    Expected("message.explain", Users, 0, 1001),
    Expected("message.mark_read", Users, 0, 1001),
    Expected("message.react", Users, 0, 1001),
    Expected("message.retry", Users, 0, 1001),
    Expected("message.send", Users, 0, 1001),
    Expected("message.send_bulk", Users, 0, 1001),
    Expected("message.status", Users, 0, 1001),
    Expected("rpc.discover", Everybody, 0, 0),
    Expected("stats.summary", Users, 0, 1001),
    Expected("sync.cancel", Users, 0, 1001),
    Expected("sync.start", Users, 0, 1001),
    Expected("sync.status", Users, 0, 1001),
    // The provider has none.
    Expected("template.sync", Users, 1105, 1001),
];

/// Nobody of the addon: refused before anything is looked at.
const STRANGERS: [i32; 6] = [PORTAL, NO_GROUP, ARCHIVED, NOBODY, 0, -1];

impl Expected {
    /// What `uid` is told about account 1 and what is of it.
    fn code(&self, uid: i32) -> i64 {
        let Self(_, who, good, refused) = *self;
        match (who, uid) {
            (Everybody, _)
            | (Users, USER | SYSTEM | ADMIN)
            | (Administrators, SYSTEM | ADMIN)
            | (AnyAdministrator, SYSTEM | ADMIN | OTHER_ADMIN) => good,
            (_, uid) if STRANGERS.contains(&uid) => 1001,
            (Administrators | AnyAdministrator, _) => 1001,
            (Users, _) => refused,
        }
    }
}

/// What `uid` is told about an account that does not exist.
fn unknown(uid: i32) -> i64 {
    match uid {
        SYSTEM | ADMIN | OTHER_ADMIN => 1002,
        _ => 1001,
    }
}

/// The parameters with another account, or none.
fn at(params: &Value, account: Option<i32>) -> Value {
    let mut params = params.clone();
    match params.get_mut("messages").and_then(Value::as_array_mut) {
        Some(messages) => {
            messages.iter_mut().for_each(|one| one["configuration_id"] = json!(account));
        }
        None => params["configuration_id"] = json!(account),
    }
    params
}

/// The code of the refusal, of the call or of its only item; 0 where it was done.
fn code(answer: &Value) -> i64 {
    let of = |error: &Value| error["code"].as_i64();
    let item = &answer["result"]["data"]["results"][0]["error"];
    of(&answer["error"]).or_else(|| of(item)).unwrap_or_default()
}

async fn ask(world: &World, method: &str, uid: i32, params: &Value) -> Value {
    let mut params = params.clone();
    if method != "rpc.discover" {
        params["uid"] = json!(uid);
    }
    world.daemon.rpc(method, params).await
}

/// The methods that the daemon has, and those of them that name an account.
async fn registered(world: &World) -> (BTreeSet<String>, BTreeSet<String>) {
    let document = world.daemon.call("rpc.discover", json!({})).await;
    let methods = document["methods"].as_array().expect("methods");
    let name = |method: &Value| method["name"].as_str().expect("a name").to_owned();
    let names_account = |method: &&Value| {
        let params = method["params"].as_array().expect("params");
        params.iter().any(|param| param["name"] == "configuration_id")
    };
    let of_account = methods.iter().filter(names_account).map(name);
    // Each of its messages names one.
    let of_account = of_account.chain(["message.send_bulk".to_owned()]);
    (methods.iter().map(name).collect(), of_account.collect())
}

async fn matrix(series: Series) {
    let (world, things) = world(series, PEOPLE).await;
    let (methods, of_account) = registered(&world).await;
    let expected: BTreeSet<String> = TABLE.iter().map(|line| line.0.to_owned()).collect();
    assert_eq!(methods, expected, "each method has a line in the table");
    let refusals = refused(&world, &things, &of_account).await;
    let done = done(&world, &things).await;
    eprintln!("{series:?}: {} methods, {refusals} calls refused, {done} done", TABLE.len());
}

/// All who may not, on everything; how many calls that were.
async fn refused(world: &World, things: &Things, of_account: &BTreeSet<String>) -> usize {
    let everybody = [SYSTEM, ADMIN, USER, OF_TWO, UNASSIGNED, ELSEWHERE, OTHER_ADMIN];
    let before = settled(&world.database).await;
    let asked = world.simulator.requests("/").await.len();
    let mut calls = 0;
    for line in TABLE.iter().filter(|line| line.1 != Everybody) {
        let method = line.0;
        let params = things.params(world, method, USER, false).await;
        for uid in STRANGERS.into_iter().chain(everybody) {
            if line.code(uid) != line.2 {
                let answer = ask(world, method, uid, &params).await;
                assert_eq!(code(&answer), line.code(uid), "{method} of {uid}: {answer}");
                calls += 1;
            }
            if !of_account.contains(method) {
                continue;
            }
            let mut others = vec![(Some(NOBODY), unknown(uid))];
            if uid == UNASSIGNED && line.1 == Users {
                // Marking as read names what it means.
                others.push((None, if method == "message.mark_read" { 1102 } else { 1003 }));
            }
            for (account, expected) in others {
                let answer = ask(world, method, uid, &at(&params, account)).await;
                assert_eq!(code(&answer), expected, "{method} of {uid} at {account:?}: {answer}");
                calls += 1;
            }
        }
        let now = tables(&world.database).await;
        let changed = changed(&before, &now);
        assert!(changed.is_empty(), "{method}: refused calls changed {changed:?}");
    }
    assert_eq!(world.simulator.requests("/").await.len(), asked, "a provider was asked");
    calls
}

/// All who may; how many calls that were.
async fn done(world: &World, things: &Things) -> usize {
    let mut calls = 0;
    for line in TABLE {
        for uid in [USER, ADMIN, SYSTEM, OTHER_ADMIN] {
            if line.code(uid) != line.2 {
                continue;
            }
            let params = things.params(world, line.0, uid, true).await;
            let answer = ask(world, line.0, uid, &params).await;
            assert_eq!(code(&answer), line.2, "{} of {uid}: {answer}", line.0);
            calls += 1;
        }
    }
    calls
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_odoo_14() {
    matrix(Series::Odoo14).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_odoo_19() {
    matrix(Series::Odoo19).await;
}
