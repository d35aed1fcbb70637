//! Broken events in the middle of batches, under load: every other one is stored, each broken one stands in
//! quarantine with its reason, and a replay after the fix heals it.

use serde_json::{Value, json};
use wabridge_testkit::wire::post;
use wabridge_testkit::{Dice, Wire, eventually};

use crate::support::wabridge;
use crate::support::world::{WEBHOOK_SECRET, WEBHOOK_TOKEN, World, message_id, text_event};

const BODIES: u64 = 60;
const EVENTS: u64 = 10;

/// What is wrong with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    None,
    /// A rule in the database, by constraint.
    Constraint,
    /// A rule in the database, by trigger.
    Trigger,
    /// Nothing that a message is made of.
    Shapeless,
}

/// Which event of which body is at fault, by chance.
fn fault(dice: &mut Dice) -> Fault {
    match dice.throw(60) {
        0 => Fault::Constraint,
        1 => Fault::Trigger,
        2 => Fault::Shapeless,
        _ => Fault::None,
    }
}

fn event(n: u64, fault: Fault) -> Value {
    let who = format!("4477009{:05}", 20_000 + n % 50);
    let text = match fault {
        Fault::Constraint => "poison for the constraint",
        Fault::Trigger => "poison for the trigger",
        Fault::None | Fault::Shapeless => "fine",
    };
    match fault {
        Fault::Shapeless => {
            json!({"id": message_id(n), "type": "text", "text": ["neither chat nor author"]})
        }
        _ => text_event(&message_id(n), &who, text)["messages"][0].clone(),
    }
}

const RULES: &str = "
    ALTER TABLE whatsapp_message ADD CONSTRAINT own_rule CHECK (content <> 'poison for the constraint');
    CREATE FUNCTION own_trigger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.content = 'poison for the trigger' THEN RAISE EXCEPTION 'not in my house'; END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER own_trigger BEFORE INSERT ON whatsapp_message FOR EACH ROW EXECUTE FUNCTION own_trigger()";
const NO_RULES: &str = "
    ALTER TABLE whatsapp_message DROP CONSTRAINT own_rule;
    DROP TRIGGER own_trigger ON whatsapp_message";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_ones_in_the_middle_of_batches() {
    let world = World::with("", &[("WABRIDGE__LOG__FILTER", "info")]).await;
    world.database.execute(RULES).await;
    let mut dice = Dice::new(1);
    let mut faults = Vec::new();
    let mut bodies = Vec::new();
    for body in 0..BODIES {
        let events: Vec<Value> = (0..EVENTS)
            .map(|n| {
                let n = body * EVENTS + n;
                let fault = fault(&mut dice);
                faults.push((n, fault));
                event(n, fault)
            })
            .collect();
        let mut whole = text_event("x", "447700900123", "x");
        whole["messages"] = events.into();
        bodies.push(whole.to_string());
    }
    let with = |fault: Fault| faults.iter().filter(|(_, one)| *one == fault).count();
    assert!(with(Fault::Constraint) > 3 && with(Fault::Trigger) > 3 && with(Fault::Shapeless) > 3);

    // All at once, so that broken ones share their batches with others.
    let mut tasks = tokio::task::JoinSet::new();
    for body in bodies {
        let mut wire = Wire::to(&world.daemon.public_url);
        let path = format!("/whatsapp/webhook/whapi/{WEBHOOK_TOKEN}");
        tasks.spawn(async move {
            let request = post(&path, WEBHOOK_SECRET, &body);
            wire.ask(&request).await.expect("the daemon answers")
        });
    }
    assert!(tasks.join_all().await.into_iter().all(|status| status == 200), "each is taken");

    let whole = |n: usize| i64::try_from(n).expect("it is small");
    let pending = "SELECT count(*) FROM wabridge.journal_pending WHERE state = 'pending'";
    world.until_count(pending, 0, 120).await;
    let stored = "SELECT count(*) FROM whatsapp_message";
    world.until_count(stored, whole(with(Fault::None)), 10).await;
    let quarantined = async |reason: &str, words: &str| {
        let sql = format!(
            "SELECT count(*) FROM wabridge.journal_pending WHERE state = 'quarantined' AND reason = '{reason}' AND detail LIKE '%{words}%'"
        );
        world.database.count(&sql).await
    };
    assert_eq!(
        quarantined("refused_by_database", "own_rule").await,
        whole(with(Fault::Constraint))
    );
    assert_eq!(
        quarantined("refused_by_database", "not in my house").await,
        whole(with(Fault::Trigger))
    );
    assert_eq!(quarantined("broken_event", "").await, whole(with(Fault::Shapeless)));
    let content = "SELECT count(*) FROM wabridge.journal_pending WHERE detail LIKE '%poison%'";
    assert_eq!(world.database.count(content).await, 0, "details hold no content");
    // Neighbours came whole: what hangs on a message is there for each, and for none twice.
    let received =
        "SELECT count(DISTINCT message_id) FROM whatsapp_event WHERE kind = 'message_received'";
    assert_eq!(world.database.count(received).await, whole(with(Fault::None)));
    assert_eq!(
        world.database.count("SELECT sum(unread_count) FROM whatsapp_chat").await,
        whole(with(Fault::None))
    );

    // The cause goes; a replay brings what it held back, and nothing else.
    world.database.execute(NO_RULES).await;
    let config = world.daemon.config_path();
    let replayed = wabridge(Some(&config), &["journal", "replay", "--quarantined"]).await;
    assert_ne!(replayed.code, Some(0), "the shapeless ones stay, and that is said");
    let healed = with(Fault::None) + with(Fault::Constraint) + with(Fault::Trigger);
    eventually("the healed ones", 20, async || {
        (world.database.count(stored).await == whole(healed)).then_some(())
    })
    .await;
    assert_eq!(quarantined("refused_by_database", "").await, 0);
    assert_eq!(quarantined("broken_event", "").await, whole(with(Fault::Shapeless)));
    assert_eq!(
        world.database.count("SELECT sum(unread_count) FROM whatsapp_chat").await,
        whole(healed)
    );
    assert_eq!(world.database.count(received).await, whole(healed));
}
