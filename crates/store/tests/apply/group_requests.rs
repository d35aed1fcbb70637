//! Groups that a provider makes after its answer, and the invitations that are owed until then.

use serde_json::json;
use wabridge_domain::ProviderKind;
use wabridge_domain::event::{Alert, What};
use wabridge_store::apply::Item;
use wabridge_store::group_invitation::{self, Due};
use wabridge_store::{StoreError, tx};
use wabridge_testkit::Series;

use super::groups::{group, update};
use super::support::*;

const REQUEST: &str = "REQ-1";

fn of_meta(item: Item) -> Item {
    Item { provider: ProviderKind::Meta, ..item }
}

fn created() -> Item {
    let mut created = update("created", 5, REQUEST);
    created.invite_link = Some("https://chat.whatsapp.com/AbCdEfGhIjKlMnOpQrStUv".into());
    of_meta(group(created))
}

/// As Meta's webhook is read when a group could not be made.
fn failed(kind: &str) -> Item {
    let extra = json!({"type": kind, "request_id": REQUEST, "errors": []});
    let alert = Alert {
        kind: "group".into(),
        detail: "group_create: the business is not eligible (131215)".into(),
        at: Some(at(5)),
        extra: extra.as_object().cloned().unwrap_or_default(),
    };
    of_meta(item(What::Alert(alert), None))
}

async fn owe(f: &Fixture) {
    let people = ["447700900123", "447700900124"];
    let client = f.store.client().await.unwrap();
    group_invitation::owe(&client, 1, REQUEST, 5, "Join: {link}", &people).await.unwrap();
}

async fn due(f: &Fixture) -> Vec<Due> {
    group_invitation::due(&f.store.client().await.unwrap(), 10).await.unwrap()
}

#[tokio::test]
async fn what_is_owed_is_due_when_the_group_is_known_in_either_order() {
    for (series, first) in [(Series::Odoo14, true), (Series::Odoo19, false)] {
        let f = Fixture::new(series).await;
        if first {
            f.settle(&[created()]).await;
            owe(&f).await;
        } else {
            owe(&f).await;
            assert_eq!(due(&f).await, []);
            f.settle(&[created()]).await;
        }
        // Told again, and owed again: the same.
        f.settle(&[created(), created(), failed("group_create")]).await;
        owe(&f).await;
        let all = due(&f).await;
        let people: Vec<_> = all.iter().map(|one| one.contact_id.as_str()).collect();
        assert_eq!(people, ["447700900123", "447700900124"]);
        let outcome = &all[0].outcome;
        assert_eq!(outcome.group_id.as_deref(), Some(GROUP));
        assert!(outcome.invite_link.is_some() && outcome.row.is_some(), "{outcome:?}");

        let client = f.store.client().await.unwrap();
        group_invitation::sent(&client, all[0].id).await.unwrap();
        group_invitation::refuse(&client, all[1].id, "not now").await.unwrap();
        // What was settled stays so.
        group_invitation::refuse(&client, all[0].id, "too late").await.unwrap();
        assert_eq!(due(&f).await, []);
        let standings = group_invitation::of_request(&client, 1, REQUEST).await.unwrap();
        let words: Vec<_> =
            standings.iter().map(|one| (one.state.as_str(), one.reason.as_deref())).collect();
        assert_eq!(words, [("sent", None), ("refused", Some("not now"))]);
    }
}

#[tokio::test]
async fn a_group_that_was_not_made_says_why() {
    let f = Fixture::new(Series::Odoo14).await;
    owe(&f).await;
    // Other failures, and other providers' groups, say nothing of a request.
    let whapi = Item { provider: ProviderKind::Whapi, ..created() };
    f.settle(&[failed("group_settings_update"), whapi]).await;
    assert_eq!(due(&f).await, []);
    f.settle(&[failed("group_create")]).await;
    let all = due(&f).await;
    assert_eq!(all.len(), 2);
    assert_eq!(all[0].outcome.group_id, None);
    assert!(all[0].outcome.reason.as_deref().is_some_and(|why| why.contains("not eligible")));
}

#[tokio::test]
async fn nobody_waits_for_ever() {
    let f = Fixture::new(Series::Odoo14).await;
    owe(&f).await;
    let collect = async || {
        let given_up: Result<u64, StoreError> = tx!(&f.store, "test.collect", |tx| {
            group_invitation::collect(tx, 7, 30, "never told").await
        });
        given_up.unwrap()
    };
    assert_eq!(collect().await, 0);
    let older = "UPDATE wabridge.group_invitation SET created_at = created_at - interval '8 days'";
    f.database.execute(older).await;
    assert_eq!(collect().await, 2);
    assert_eq!(f.text("SELECT count(*)::text FROM wabridge.group_invitation").await, "2");
    f.database.execute(&older.replace("8 days", "30 days")).await;
    assert_eq!(collect().await, 0);
    assert_eq!(f.text("SELECT count(*)::text FROM wabridge.group_invitation").await, "0");
}
