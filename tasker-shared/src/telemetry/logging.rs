//! Logs: lines on standard error, for people or for log collectors.

use std::{
    env, fmt,
    io::{self, IsTerminal},
};

use tracing::{Event, Subscriber};
use tracing_subscriber::{
    EnvFilter,
    fmt::{
        FmtContext, FormatEvent, FormatFields, MakeWriter,
        format::{self, Writer},
    },
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

use crate::config::{LogFormat, TelemetryConfig, parse_filter};

/// Why logs could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The filter is not understood.
    #[error(
        "{place} is not a log filter such as \"info\" or \"info,tasker_worker=debug\": {source}"
    )]
    Filter {
        /// Where the filter was written.
        place: &'static str,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// The process logs already.
    #[error("logs are set up already")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// Sends the logs of the process to standard error. JSON lines say the `role` of the process.
///
/// `RUST_LOG` overrides the configured filter. To be called once, at start.
pub fn init_logging(config: &TelemetryConfig, role: &str) -> Result<(), LoggingError> {
    let from_environment = env::var("RUST_LOG")
        .ok()
        .filter(|filter| !filter.is_empty());
    let filter = match &from_environment {
        Some(filter) => filter_at("RUST_LOG", filter)?,
        None => filter_at("telemetry.log_filter", &config.log_filter)?,
    };
    let colours = io::stderr().is_terminal() && env::var_os("NO_COLOR").is_none();
    subscriber(config.log_format, role, filter, colours, io::stderr).try_init()?;
    Ok(())
}

fn filter_at(place: &'static str, filter: &str) -> Result<EnvFilter, LoggingError> {
    parse_filter(filter).map_err(|source| LoggingError::Filter { place, source })
}

fn subscriber<W>(
    form: LogFormat,
    role: &str,
    filter: EnvFilter,
    colours: bool,
    writer: W,
) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(colours);
    let all = tracing_subscriber::registry().with(filter);
    match form {
        LogFormat::Text => Box::new(all.with(lines)),
        LogFormat::Json => {
            let start = format!("{{\"role\":{},", serde_json::Value::from(role));
            let json = WithRole {
                start,
                inner: format::format().json().flatten_event(true),
            };
            let fields = format::JsonFields::new();
            Box::new(all.with(lines.with_ansi(false).fmt_fields(fields).event_format(json)))
        }
    }
}

/// JSON lines that begin with the role of the process.
struct WithRole {
    /// The opening brace and the role.
    start: String,
    inner: format::Format<format::Json>,
}

impl<S, N> FormatEvent<S, N> for WithRole
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        self.inner
            .format_event(context, Writer::new(&mut line), event)?;
        match line.strip_prefix('{') {
            Some(rest) => write!(writer, "{}{rest}", self.start),
            None => writer.write_str(&line),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::{info, info_span, subscriber::with_default, warn};

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Captured {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl io::Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(form: LogFormat, filter: &str, log: impl FnOnce()) -> String {
        let captured = Captured::default();
        let writer = captured.clone();
        let filter = filter_at("test", filter).unwrap();
        with_default(
            subscriber(form, "worker", filter, false, move || writer.clone()),
            log,
        );
        captured.text()
    }

    #[test]
    fn json_lines_hold_role_message_fields_and_spans() {
        let text = logged(LogFormat::Json, "info", || {
            let _span = info_span!("step", step_name = "charge").entered();
            warn!(attempt = 2, "the handler failed");
        });
        assert_eq!(text.lines().count(), 1);
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["role"], "worker");
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["message"], "the handler failed");
        assert_eq!(line["attempt"], 2);
        assert_eq!(line["span"]["step_name"], "charge");
    }

    #[test]
    fn text_without_a_terminal_has_no_colours() {
        let text = logged(LogFormat::Text, "info", || {
            warn!(attempt = 2, "the handler failed");
        });
        assert!(
            text.contains("WARN") && text.contains("the handler failed attempt=2"),
            "{text}"
        );
        assert!(!text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn the_filter_decides_what_is_logged() {
        let text = logged(LogFormat::Text, "warn", || {
            info!("left out");
            warn!("kept");
        });
        assert!(
            text.contains("kept") && !text.contains("left out"),
            "{text}"
        );
    }

    #[test]
    fn a_bad_filter_is_an_error_that_says_where_it_is() {
        let error = filter_at("RUST_LOG", "tasker=loud")
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("RUST_LOG is not a log filter"), "{error}");
    }
}
