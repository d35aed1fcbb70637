//! The simulator in a process of its own: what it needs is not taken from the program that measures.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use wabridge_testkit::TestDatabase;
use wabridge_testkit::cluster::free_port;
use wabridge_testkit::daemon::{WHAPI_CHANNEL, binary};

/// Of the account, at the simulator and sealed in its row.
pub const TOKEN: &str = "bench-api-token";

/// It, running; ended when dropped.
pub struct Provider {
    child: Child,
    _folder: tempfile::TempDir,
    pub url: String,
    http: reqwest::Client,
}

impl Provider {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let accounts = folder.path().join("accounts.json");
        let account = json!({
            "provider": "whapi", "token": TOKEN, "channel_id": WHAPI_CHANNEL, "phone": "447700900999", "name": "Bench",
        });
        std::fs::write(&accounts, json!({"accounts": [account]}).to_string())
            .expect("a file can be written");
        let address = format!("127.0.0.1:{}", free_port());
        let child = Command::new(binary())
            .args(["simulate", "--listen", &address, "--accounts"])
            .arg(&accounts)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the simulator starts");
        while tokio::net::TcpStream::connect(&address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let http = reqwest::Client::builder().no_proxy().build().expect("a client can be made");
        Self { child, _folder: folder, url: format!("http://{address}"), http }
    }

    /// Makes it the provider of account 1.
    pub async fn serves(&self, database: &TestDatabase) {
        let url = &self.url;
        let sql = format!("UPDATE whatsapp_configuration SET base_url = '{url}' WHERE id = 1");
        database.execute(&sql).await;
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// (chat, text) of every text that it was asked to send, oldest first.
    pub async fn asked(&self) -> Vec<(String, String)> {
        let answer = self.get("/_control/requests?since=0").await;
        let requests = answer["requests"].as_array().expect("it lists requests");
        let texts = requests.iter().filter(|r| r["path"] == "/messages/text");
        let word = |value: &Value| value.as_str().expect("a text names it").to_owned();
        texts.map(|r| (word(&r["body"]["to"]), word(&r["body"]["body"]))).collect()
    }

    /// How many messages stand in the account's history.
    pub async fn taken(&self) -> u64 {
        let list = self.get("/messages/list?from_me=true&count=1").await;
        list["total"].as_u64().expect("it counts")
    }

    async fn get(&self, path: &str) -> Value {
        let request = self.http.get(format!("{}{path}", self.url)).bearer_auth(TOKEN);
        let answer = request.send().await.expect("the simulator answers");
        answer.json().await.expect("it answers JSON")
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        if self.child.kill().is_ok() {
            self.child.wait().expect("its end can be seen");
        }
    }
}
