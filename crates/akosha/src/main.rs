//! The `akosha` command: memory for AI coding assistants that outlives the session and the machine.

mod about;
mod background;
mod cli;
mod commands;
mod context;
mod demo;
mod failure;
mod filter;
mod hook;
mod import;
mod logging;
mod output;
mod progress;
mod runtime;
mod serve;
mod show;
mod token;

use std::process::ExitCode;

use clap::Parser;

use about::About;
use cli::{Cli, Command};
use context::Context;
use failure::Exit;
use output::Output;

fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => run(cli),
        Err(error) => {
            let typed = cli::Typed::from_process();
            let output = Output::plain(typed.is_json);
            if typed.is_hook && error.use_stderr() {
                // An assistant must not stumble over a hook that it was told to call wrongly.
                output::stderr_line(&format!("akosha: {}", output::usage_line(&error)));
                return Exit::Done.into();
            }
            output.usage(&error).into()
        }
    }
}

fn run(cli: Cli) -> ExitCode {
    match cli.command {
        // It has no standard streams and logs to a file of its own.
        Some(Command::Drain) => {}
        Some(Command::Mcp) => {
            logging::to_stderr_and_file(&cli.global, Context::home_of(&cli.global));
        }
        Some(Command::Serve(_)) => logging::to_stderr_and_collector(&cli.global),
        _ => logging::to_stderr(&cli.global),
    }
    let output = Output::new(&cli.global);
    let Some(command) = cli.command else {
        return output.end(output.answer(&About::new()).map(|()| Exit::Done), "");
    };
    let name = command.name();
    let context = Context::new(&cli.global);
    let ended = commands::run(context, command);
    logging::finish();
    output.end(ended, name)
}
