//! `wabridge-bench ingest|send|sync|dashboard|user_waits|soak`: what the daemon can do, and the dashboards of its addon, as
//! ratios of things measured in turn in one run.
//!
//! Nothing here passes or fails by a time. What is asserted is that rows are acknowledgements, one each.

mod accept;
mod bound;
mod dashboard;
mod events;
mod ingest;
mod load;
mod noop;
mod options;
mod orm;
mod place;
mod plan;
mod process;
mod provider;
mod report;
mod send;
mod soak;
mod steps;
mod sync;
mod user_waits;
mod visible;

use std::process::ExitCode;

use options::Options;

// As the daemon's own: H shall not win by its allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str = "wabridge-bench ingest [--smoke] [--rounds 7] [--seconds 3] [--only RATIOS,OFFERED,BIG,MEMORY,START] [--stored 10000000] [--offered-seconds 60] [--report FILE]
wabridge-bench send [--smoke] [--rounds 7] [--seconds 3] [--only DISPATCH,AUDIT,ACCEPT] [--sends 10000] [--chats 500] [--report FILE]
wabridge-bench sync [--smoke] [--rounds 7] [--odoo 14,19] [--report FILE]
wabridge-bench dashboard [--smoke] [--rounds 7] [--stored 10000000] [--report FILE]
wabridge-bench user_waits --env FILE [--rounds 7] [--report FILE]
wabridge-bench soak [--minutes 60] [--rate 300]

RATIOS are D, S, H, B and U; without --only all is measured but BIG, which makes millions of rows.
WABRIDGE_BIN names the daemon to measure; tests/bench/run.sh builds it.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|word| word == "noop") {
        return noop::main(&arguments[1..]);
    }
    let options = match Options::parse(&arguments) {
        Ok(options) => options,
        Err(wrong) => {
            eprintln!("{wrong}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    // One thread, so that the generator takes no more of the cores than it needs.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made");
    match options.what.as_str() {
        "ingest" => runtime.block_on(ingest::run(&options)),
        "send" => runtime.block_on(send::run(&options)),
        "sync" => runtime.block_on(sync::run(&options)),
        "dashboard" => runtime.block_on(dashboard::run(&options)),
        "user_waits" => runtime.block_on(user_waits::run(&options)),
        "soak" => runtime.block_on(soak::run(&options)),
        other => {
            eprintln!("{other:?} is not known\n\n{USAGE}");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
