//! The server that does nothing: reads a request and answers as the daemon would. A process of its own, as the
//! daemon is.

use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use axum::Router;
use axum::http::header;
use axum::routing::any;
use bytes::Bytes;
use wabridge_testkit::cluster::free_port;

const ANSWER: &str = r#"{"success":true,"data":{"accepted":1}}"#;

pub fn main(arguments: &[String]) -> ExitCode {
    let Some(port) = arguments.first().and_then(|word| word.parse::<u16>().ok()) else {
        eprintln!("noop needs a port");
        return ExitCode::from(2);
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made");
    runtime.block_on(async {
        let answer = async |body: Bytes| {
            assert!(!body.is_empty(), "a webhook has a body");
            ([(header::CONTENT_TYPE, "application/json")], ANSWER)
        };
        let router = Router::new().route("/{*path}", any(answer));
        let listener =
            tokio::net::TcpListener::bind(("127.0.0.1", port)).await.expect("the port is free");
        axum::serve(listener, router).await.expect("it serves");
    });
    ExitCode::SUCCESS
}

/// It, running; ended when dropped.
pub struct Noop {
    child: Child,
    pub url: String,
}

impl Noop {
    pub async fn start() -> Self {
        let port = free_port();
        let program = std::env::current_exe().expect("this program has a path");
        let child = Command::new(program)
            .args(["noop", &port.to_string()])
            .stdin(Stdio::null())
            .spawn()
            .expect("this program starts again");
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Self { child, url: format!("http://127.0.0.1:{port}") }
    }
}

impl Drop for Noop {
    fn drop(&mut self) {
        if self.child.kill().is_ok() {
            self.child.wait().expect("its end can be seen");
        }
    }
}
