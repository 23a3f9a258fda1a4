//! Everything that is printed: answers on standard output, errors and notes on standard error.

use std::io::{self, BufWriter, IsTerminal, StderrLock, StdoutLock, Write};
use std::process::ExitCode;

use akosha_core::ErrorKind;
use clap::builder::styling::{AnsiColor, Style};
use serde::Serialize;
use serde_json::json;

use crate::cli::Global;
use crate::failure::{Exit, Failure};
use crate::show;

/// The answer of a command: JSON by its serialisation, text by [`Answer::write_text`].
pub(crate) trait Answer: Serialize {
    /// Writes the answer for a person.
    fn write_text(&self, page: &mut Page<'_>) -> io::Result<()>;
}

/// How this process prints.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
    quiet: bool,
}

impl Output {
    /// Creates the output that the options ask for.
    pub(crate) fn new(global: &Global) -> Self {
        Self {
            json: global.json,
            quiet: global.quiet,
        }
    }

    /// Creates the output of a process whose command line could not be read.
    pub(crate) fn plain(json: bool) -> Self {
        Self { json, quiet: false }
    }

    /// Returns whether answers are JSON.
    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// Returns whether progress may be drawn: a person watches and did not ask for quiet.
    pub(crate) fn shows_progress(self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }

    /// Prints an answer. A reader that went away is no error.
    pub(crate) fn answer(self, answer: &impl Answer) -> Result<(), Failure> {
        if !self.json {
            return self.part(answer);
        }
        let mut out = stream();
        let written = serde_json::to_writer(&mut out, answer)
            .map_err(io::Error::from)
            .and_then(|()| writeln!(out))
            .and_then(|()| out.flush());
        finish(written)
    }

    /// Prints a part of an answer as soon as it is known; JSON is printed as a whole at the end.
    pub(crate) fn part(self, part: &impl Answer) -> Result<(), Failure> {
        if self.json {
            return Ok(());
        }
        let mut out = stream();
        let color = may_color(io::stdout().is_terminal());
        let written = part.write_text(&mut Page {
            out: &mut out,
            color,
        });
        finish(written.and_then(|()| out.flush()))
    }

    /// Prints a failure: as a JSON object on standard output, or for a person on standard error.
    pub(crate) fn failure(self, failure: &Failure) {
        if self.json {
            let mut error = json!({
                "kind": failure.kind.as_str(),
                "message": failure.message,
                "hint": failure.hint,
            });
            if !failure.settings.is_empty() {
                error["errors"] = json!(failure.settings);
            }
            let mut out = stream();
            // Nobody is left to be told that even this could not be written.
            let _ = writeln!(out, "{}", json!({ "error": error })).and_then(|()| out.flush());
            return;
        }
        let mut err = io::stderr().lock();
        let _ = write_failure(&mut err, failure);
    }

    /// Prints what a person should know beside the answer, with its details below it, on standard
    /// error. Nothing where quiet was asked for.
    pub(crate) fn warning(self, text: &str, details: &[String]) {
        if self.quiet {
            return;
        }
        let mut err = io::stderr().lock();
        // Nobody is left to be told that even this could not be written.
        let _ = write_warning(&mut err, text, details);
    }

    /// Prints what clap says about the command line, and with `--json` the error object too.
    pub(crate) fn usage(self, error: &clap::Error) -> Exit {
        let is_error = error.use_stderr();
        let _ = error.print();
        if !is_error {
            return Exit::Done;
        }
        if self.json {
            self.failure(&Failure::new(
                ErrorKind::Invalid,
                usage_line(error),
                "see what it takes: `akosha --help`",
            ));
        }
        Exit::Usage
    }

    /// Ends a command: says what failed, with a hint that helps in `command`, and returns its
    /// exit code.
    pub(crate) fn end(self, result: Result<Exit, Failure>, command: &str) -> ExitCode {
        let exit = result.unwrap_or_else(|failure| {
            let failure = failure.in_command(command);
            self.failure(&failure);
            failure.exit()
        });
        exit.into()
    }
}

/// Returns what clap says about the command line in one line, without its advice.
pub(crate) fn usage_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let said: Vec<&str> = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.is_empty())
        .collect();
    let line = said.join(" ");
    line.strip_prefix("error: ").unwrap_or(&line).to_owned()
}

/// Writes one line to standard error whatever the options: what a hook says about an error.
pub(crate) fn stderr_line(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Returns standard output as a stream, for answers that are longer than memory.
pub(crate) fn stream() -> BufWriter<StdoutLock<'static>> {
    BufWriter::new(io::stdout().lock())
}

/// Turns the result of writing to standard output into a command's: a reader that went away has
/// what it wanted.
pub(crate) fn finish(written: io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::new(
            ErrorKind::Storage,
            format!("cannot write the answer: {error}"),
            "free space where standard output goes, then repeat the command",
        )),
        _ => Ok(()),
    }
}

/// Text for a person, with a few styles where the terminal has them.
pub(crate) struct Page<'a> {
    out: &'a mut dyn Write,
    color: bool,
}

impl Page<'_> {
    /// Writes a line.
    pub(crate) fn line(&mut self, text: impl AsRef<str>) -> io::Result<()> {
        writeln!(self.out, "{}", show::harmless(text.as_ref()))
    }

    /// Writes a text of our own as it is.
    pub(crate) fn raw(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())
    }

    /// Writes a line that stands out.
    pub(crate) fn heading(&mut self, text: impl AsRef<str>) -> io::Result<()> {
        self.styled(Style::new().bold(), text.as_ref())
    }

    /// Writes a line that stands back.
    pub(crate) fn aside(&mut self, text: impl AsRef<str>) -> io::Result<()> {
        self.styled(Style::new().dimmed(), text.as_ref())
    }

    /// Writes a line of a table: a name, padded, and its value.
    pub(crate) fn field(&mut self, name: &str, value: impl AsRef<str>) -> io::Result<()> {
        self.line(format!("{name:<14} {}", value.as_ref()))
    }

    fn styled(&mut self, style: Style, text: &str) -> io::Result<()> {
        let text = show::harmless(text);
        if self.color {
            writeln!(self.out, "{style}{text}{style:#}")
        } else {
            writeln!(self.out, "{text}")
        }
    }
}

fn write_failure(err: &mut StderrLock<'_>, failure: &Failure) -> io::Result<()> {
    let (red, cyan) = if may_color(err.is_terminal()) {
        (
            Style::new().bold().fg_color(Some(AnsiColor::Red.into())),
            Style::new().fg_color(Some(AnsiColor::Cyan.into())),
        )
    } else {
        (Style::new(), Style::new())
    };
    let message = show::harmless(&failure.message);
    writeln!(err, "{red}error:{red:#} {message}")?;
    for setting in &failure.settings {
        writeln!(err, "  {}", show::harmless(&setting.to_string()))?;
        let hint = show::harmless(&setting.hint);
        writeln!(err, "    {cyan}hint:{cyan:#} {hint}")?;
    }
    if let Some(hint) = &failure.hint {
        writeln!(err, "{cyan}hint:{cyan:#} {}", show::harmless(hint))?;
    }
    Ok(())
}

fn write_warning(err: &mut StderrLock<'_>, text: &str, details: &[String]) -> io::Result<()> {
    let yellow = if may_color(err.is_terminal()) {
        Style::new().bold().fg_color(Some(AnsiColor::Yellow.into()))
    } else {
        Style::new()
    };
    writeln!(err, "{yellow}warning:{yellow:#} {}", show::harmless(text))?;
    for detail in details {
        writeln!(err, "  {}", show::harmless(detail))?;
    }
    Ok(())
}

/// Returns whether colours may be used on a stream. <https://no-color.org>
fn may_color(is_terminal: bool) -> bool {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    is_terminal && !no_color
}
