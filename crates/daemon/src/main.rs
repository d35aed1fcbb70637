//! The program: parses the command line, prints errors in one line.

use std::process::ExitCode;

use wabridge::commands::Cli;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = <Cli as clap::Parser>::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("wabridge: the runtime cannot be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(cli.run()) {
        Ok(code) => code,
        Err(error) => {
            // One line: cause and cure, with what led to it.
            let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
            eprintln!("wabridge: {}", causes.join(": "));
            ExitCode::FAILURE
        }
    }
}
