//! Links that others give us lead to public addresses only, whatever they are called and wherever they redirect.

use serde_json::{Value, json};

use super::server::{Files, Reply};
use super::{event, until, world};
use crate::support::World;

/// What became of a message whose file has this link and no id.
async fn linked(world: &World, n: usize, link: &str) -> Value {
    let id = format!("m-{n}");
    let part = json!({"link": link, "mime_type": "application/pdf", "file_name": "a.pdf"});
    assert_eq!(world.webhook(&event(&id, "document", part)).await, 200);
    until(world, &id, "refused", 20).await
}

/// Links to the file, which everybody may read, by ways that are not allowed.
fn forbidden(files: &Files) -> Vec<(&'static str, String)> {
    files.bytes("/secret", b"%PDF-1.7 internal");
    let port = files.port;
    // The first host is allowed in tests, so that the redirect is what is looked at.
    let redirect = files.set("/away", Reply::Redirect(format!("http://127.0.0.2:{port}/secret")));
    let relay = files.set("/relay", Reply::Redirect("/away".to_owned()));
    vec![
        ("loopback", format!("http://127.0.0.2:{port}/secret")),
        ("loopback, spelled otherwise", format!("http://0x7f000002:{port}/secret")),
        ("IPv4 in IPv6", format!("http://[::ffff:127.0.0.2]:{port}/secret")),
        ("a name that leads to loopback", format!("http://localhost:{port}/secret")),
        ("a redirect to loopback", redirect),
        ("two redirects", relay),
    ]
}

#[tokio::test]
async fn nothing_but_public_addresses() {
    let (world, files) = world(&[]).await;
    for (n, (what, link)) in forbidden(&files).into_iter().enumerate() {
        let row = linked(&world, n, &link).await;
        let reason = row["reason"].as_str().unwrap_or_default();
        assert!(reason.contains("not public"), "{what}: {row}");
    }
    assert_eq!(files.requests("/secret").len(), 0, "nobody was asked");
    for (n, link) in
        ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://a:b@127.0.0.1/x"].iter().enumerate()
    {
        let row = linked(&world, 100 + n, link).await;
        assert!(row["reason"].as_str().is_some_and(|r| r.contains("the link")), "{link}: {row}");
    }
}

/// The negative control: the same links work where they are allowed.
#[tokio::test]
async fn with_the_guard_off_the_same_links_are_followed() {
    let (world, files) = world(&[("WABRIDGE__MEDIA__ALLOW_PRIVATE", "true")]).await;
    for (n, (what, link)) in forbidden(&files).into_iter().enumerate() {
        if what.contains("IPv6") {
            continue; // This machine may have none.
        }
        let id = format!("m-{n}");
        // Each with other bytes: equal ones become one row.
        files.bytes("/secret", format!("%PDF-1.7 internal {n}").as_bytes());
        let part = json!({"link": link, "mime_type": "application/pdf"});
        assert_eq!(world.webhook(&event(&id, "document", part)).await, 200);
        until(&world, &id, "ready", 20).await;
    }
}

/// Redirects of the account's own API carry no token to others, and never end up in private places.
#[tokio::test]
async fn the_token_stays_at_home() {
    let (world, files) = world(&[]).await;
    let other = Files::start().await;
    let elsewhere = other.bytes("/cdn/file", b"%PDF-1.7 from the CDN");
    files.set("/media/doc-1", Reply::Redirect(elsewhere));
    let part = json!({"id": "doc-1", "mime_type": "application/pdf"});
    assert_eq!(world.webhook(&event("m-1", "document", part)).await, 200);
    until(&world, "m-1", "ready", 20).await;
    assert_eq!(other.requests("/cdn/file"), [None]);
    assert!(files.requests("/media/doc-1")[0].is_some());

    let port = other.port;
    files.set("/media/doc-2", Reply::Redirect(format!("http://localhost:{port}/cdn/file")));
    let part = json!({"id": "doc-2", "mime_type": "application/pdf"});
    assert_eq!(world.webhook(&event("m-2", "document", part)).await, 200);
    until(&world, "m-2", "refused", 20).await;
}
