//! Odoo's bus: who is told, and what stands in the table.

use serde_json::{Value, json};
use wabridge_store::odoo::bus::{self, Hint};
use wabridge_store::{Database, Options};
use wabridge_testkit::{Series, TestDatabase};

fn store(database: &TestDatabase) -> Database {
    Database::new(&database.name, &database.url, None, &Options::default())
        .expect("the test's URL is well formed")
}

async fn partner(database: &TestDatabase, uid: i32) -> i32 {
    i32::try_from(
        database.count(&format!("SELECT partner_id FROM res_users WHERE id = {uid}")).await,
    )
    .expect("ids fit")
}

/// The fixture: uid 2 administers WhatsApp, 5 is a user of account 1, 6 is in no WhatsApp group.
#[tokio::test]
async fn only_people_of_the_account_are_told() {
    for series in [Series::Odoo14, Series::Odoo19] {
        let database = TestDatabase::new(series).await;
        let store = store(&database);
        let (administrator, user, stranger) =
            (partner(&database, 2).await, partner(&database, 5).await, partner(&database, 6).await);
        let told = bus::recipients(&store, 1).await.unwrap();
        assert!(told.contains(&administrator) && told.contains(&user), "{series:?}: {told:?}");
        assert!(!told.contains(&stranger), "{series:?}: {told:?}");

        database.execute("DELETE FROM res_users_whatsapp_configuration_rel").await;
        assert!(
            !bus::recipients(&store, 1).await.unwrap().contains(&user),
            "not assigned any more"
        );

        let group = "(SELECT res_id FROM ir_model_data WHERE module = 'whatsapp_integration' AND name = 'group_whatsapp_user')";
        database
            .execute(&format!("INSERT INTO res_groups_whatsapp_configuration_rel (whatsapp_configuration_id, res_groups_id) VALUES (1, {group})"))
            .await;
        let told = bus::recipients(&store, 1).await.unwrap();
        assert!(told.contains(&user) && !told.contains(&stranger), "by user group: {told:?}");

        database.execute("UPDATE res_users SET active = false WHERE id = 5").await;
        assert!(!bus::recipients(&store, 1).await.unwrap().contains(&user), "archived");
    }
}

#[tokio::test]
async fn rows_are_as_odoo_writes_them_and_listeners_are_woken_by_json() {
    let database = TestDatabase::new(Series::Odoo14).await;
    let store = store(&database);
    let listener = Database::new(
        "postgres",
        &database.url.replace(&database.name, "postgres"),
        None,
        &Options::default(),
    )
    .unwrap();
    let mut listening = listener.dedicated().await.unwrap();
    listening.client.batch_execute("LISTEN imbus").await.unwrap();

    let message =
        json!({"type": "wabridge/changed", "payload": {"whatsapp.message": [17]}, "n": 1});
    bus::insert(&store, &[Hint { partner_id: 3, message: message.clone() }]).await.unwrap();
    let rows = database
        .admin
        .query("SELECT channel, message, create_uid, create_date IS NOT NULL FROM bus_bus", &[])
        .await
        .unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].get::<_, String>(0), format!(r#"["{}","res.partner",3]"#, database.name));
    assert_eq!(serde_json::from_str::<Value>(&rows[0].get::<_, String>(1)).unwrap(), message);
    assert_eq!((rows[0].get::<_, i32>(2), rows[0].get::<_, bool>(3)), (1, true));

    let many: Vec<i32> = (1..=500).collect();
    let postgres = store.dedicated_to_postgres().await.unwrap();
    bus::notify(&postgres.client, store.dbname(), &many).await.unwrap();
    let mut told = 0;
    while told < many.len() {
        let note =
            tokio::time::timeout(std::time::Duration::from_secs(10), listening.connection.recv())
                .await
                .expect("every channel is named")
                .unwrap();
        assert!(note.payload().len() < 8000);
        // Other tests share the cluster and its channel: only ours count.
        let channels: Vec<(String, String, i32)> = serde_json::from_str(note.payload()).unwrap();
        told += channels.iter().filter(|(name, ..)| *name == database.name).count();
    }
}
