//! The configuration: one struct whose fields are the keys of the files under `config/tasker`.
//!
//! Values come in layers, later ones winning: the files compiled into the binary, the
//! configuration folder, environment variables. Every key has its default and its documentation in
//! `config/tasker/base`, nowhere else. A key that no struct declares is an error that names the place.

mod check;
mod database;
mod deployment;
mod error;
mod event_systems;
mod instance;
mod layers;
mod load;
mod merge;
mod mpsc_channels;
mod orchestration;
mod retention;
mod source;
mod statistics;
mod telemetry;
mod variables;
mod web;
mod worker;

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

pub use database::{DatabaseConfig, DatabaseUrl, Pooler};
pub use deployment::{DeploymentConfig, DeploymentMode, UnknownDeploymentMode};
pub use error::{ConfigError, ConfigProblem};
pub use event_systems::{
    EventSystemsConfig, ListenerConfig, SupervisorConfig, TaskReadinessEventChannelRetryConfig,
    TaskReadinessEventSystemConfig, TaskReadinessMetadataConfig,
};
pub use instance::host_name;
pub use load::{ConfigInputs, LoadedConfig, Setting, load};
pub use mpsc_channels::{
    CommandProcessorConfig, DropPolicy, EventSystemChannelsConfig, MpscChannelsConfig,
    OrchestrationChannelsConfig, OrchestrationEventListenersConfig, OverflowMetricsConfig,
    OverflowPolicyConfig, SharedAnnouncerConfig, SharedChannelsConfig, SharedEventPublisherConfig,
    SharedFfiConfig, TaskReadinessChannelsConfig, TaskReadinessEventChannelConfig,
    WebChannelsConfig, WebSubmissionsConfig, WorkerChannelsConfig, WorkerEventListenersConfig,
    WorkerEventSubscribersConfig, WorkerInProcessEventsConfig,
};
pub use orchestration::{ClaimsConfig, OrchestrationConfig, TaskReadinessConfig, TimersConfig};
pub use retention::{ArchiveTarget, RetentionConfig};
pub use source::Source;
pub use statistics::{PriorityClassesConfig, SamplingRatesConfig, StatisticsConfig};
pub(crate) use telemetry::parse_filter;
pub use telemetry::{LogFormat, TelemetryConfig};
pub use web::WebConfig;
pub use worker::WorkerConfig;

/// Everything that can be configured. `Default` is what the base files say.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TaskerConfig {
    /// How processes reach PostgreSQL.
    pub database: DatabaseConfig,
    /// The orchestrator.
    pub orchestration: OrchestrationConfig,
    /// The worker.
    pub worker: WorkerConfig,
    /// The HTTP API.
    pub web: WebConfig,
    /// Listening connections, readiness events, restarts.
    pub event_systems: EventSystemsConfig,
    /// Latencies of events that are sampled.
    pub statistics: StatisticsConfig,
    /// For how long tasks that ended are kept.
    pub retention: RetentionConfig,
    /// Logs, and where metrics are sent.
    pub telemetry: TelemetryConfig,
    /// Capacities of channels.
    pub mpsc_channels: MpscChannelsConfig,
}

impl TaskerConfig {
    /// What is wrong, if tasks are to be archived in files and no folder is named for them.
    fn why_unable_to_archive(&self) -> Option<String> {
        let RetentionConfig {
            archive,
            archive_folder,
            ..
        } = &self.retention;
        let lacks_folder = *archive == ArchiveTarget::File && archive_folder.is_empty();
        lacks_folder.then(|| "is needed where retention.archive is \"file\"".to_owned())
    }

    /// What is wrong, if a mode listens but nothing leads past the pooler.
    fn why_unable_to_listen(&self) -> Option<String> {
        let Self { database, .. } = self;
        if database.pooler == Pooler::None || !database.listen_url.as_str().is_empty() {
            return None;
        }
        let (key, deployment) = [
            (
                "orchestration.deployment.mode",
                &self.orchestration.deployment,
            ),
            ("worker.deployment.mode", &self.worker.deployment),
        ]
        .into_iter()
        .find(|(_, deployment)| deployment.mode.listens())?;
        Some(format!(
            "is needed: LISTEN does not work through a pooler in transaction mode \
             (database.pooler), and {key} is {}; set a direct address, or DEPLOYMENT_MODE=PollingOnly",
            deployment.mode
        ))
    }
}

static BASE: LazyLock<TaskerConfig> = LazyLock::new(|| {
    let base = merge::Merged::of_base(&layers::built_in_base());
    base.values
        .try_into()
        .expect("the base files compiled into the binary fit the structs, as a test shows")
});

impl Default for TaskerConfig {
    fn default() -> Self {
        BASE.clone()
    }
}

/// Every type of the configuration defaults to its part of the base files.
macro_rules! default_from_base {
    ($($config:ident = $first:ident$(.$rest:ident)*),* $(,)?) => {
        $(impl Default for $config {
            fn default() -> Self {
                BASE.$first$(.$rest)*.clone()
            }
        })*

        /// The types that default to a part of the base files.
        #[cfg(test)]
        const DEFAULTED: &[&str] = &[$(stringify!($config)),*];

        /// Every one of them can be made without a file, and written down.
        const _: () = {
            const fn is_configuration<T: Default + Serialize>() {}
            is_configuration::<TaskerConfig>();
            $(is_configuration::<$config>();)*
        };
    };
}

default_from_base! {
    DatabaseConfig = database,
    DatabaseUrl = database.url,
    Pooler = database.pooler,
    OrchestrationConfig = orchestration,
    DeploymentConfig = orchestration.deployment,
    DeploymentMode = orchestration.deployment.mode,
    TaskReadinessConfig = orchestration.task_readiness,
    ClaimsConfig = orchestration.claims,
    TimersConfig = orchestration.timers,
    WorkerConfig = worker,
    WebConfig = web,
    EventSystemsConfig = event_systems,
    ListenerConfig = event_systems.listener,
    TaskReadinessEventSystemConfig = event_systems.task_readiness,
    TaskReadinessMetadataConfig = event_systems.task_readiness.metadata,
    TaskReadinessEventChannelRetryConfig = event_systems.task_readiness.metadata.event_channel,
    SupervisorConfig = event_systems.supervisor,
    StatisticsConfig = statistics,
    SamplingRatesConfig = statistics.sampling_rates,
    PriorityClassesConfig = statistics.priorities,
    RetentionConfig = retention,
    ArchiveTarget = retention.archive,
    TelemetryConfig = telemetry,
    LogFormat = telemetry.log_format,
    MpscChannelsConfig = mpsc_channels,
    OrchestrationChannelsConfig = mpsc_channels.orchestration,
    CommandProcessorConfig = mpsc_channels.orchestration.command_processor,
    EventSystemChannelsConfig = mpsc_channels.orchestration.event_systems,
    OrchestrationEventListenersConfig = mpsc_channels.orchestration.event_listeners,
    TaskReadinessChannelsConfig = mpsc_channels.task_readiness,
    TaskReadinessEventChannelConfig = mpsc_channels.task_readiness.event_channel,
    WorkerChannelsConfig = mpsc_channels.worker,
    WorkerEventSubscribersConfig = mpsc_channels.worker.event_subscribers,
    WorkerInProcessEventsConfig = mpsc_channels.worker.in_process_events,
    WorkerEventListenersConfig = mpsc_channels.worker.event_listeners,
    WebChannelsConfig = mpsc_channels.web,
    WebSubmissionsConfig = mpsc_channels.web.submissions,
    SharedChannelsConfig = mpsc_channels.shared,
    SharedAnnouncerConfig = mpsc_channels.shared.announcer,
    SharedEventPublisherConfig = mpsc_channels.shared.event_publisher,
    SharedFfiConfig = mpsc_channels.shared.ffi,
    OverflowPolicyConfig = mpsc_channels.overflow_policy,
    OverflowMetricsConfig = mpsc_channels.overflow_policy.metrics,
    DropPolicy = mpsc_channels.overflow_policy.drop_policy,
}

#[cfg(test)]
mod key_tests;
#[cfg(test)]
mod load_tests;
#[cfg(test)]
mod problem_tests;
#[cfg(test)]
mod type_tests;
#[cfg(test)]
pub(crate) mod workspace_sources;
