//! What the folder of a training run holds, as types that its writers and its readers share.
//!
//! ```text
//! recipe.toml         the recipe, every key written out          run.json         what made the run: RunRecord
//! metrics.jsonl       a line an update, and alarms: MetricsLine  events.out.*     the same for TensorBoard: EventFile
//! rollouts.jsonl      the fixed pool of policy samples           samples.jsonl    the newest rollouts: RunSample
//! evaluation.jsonl    a line a problem: Outcome                  checkpoints/     a file a stage: CheckpointHeader
//! policy/  reward/    the trained models                         .lock            held while the run is at work: RunLock
//! ```
//!
//! Rollouts and samples are native traces, which the inspector and every command that reads traces open.

mod checkpoint;
mod events;
mod folder;
mod follow;
mod lock;
mod metrics;
mod record;
mod samples;
pub mod stage;

pub use checkpoint::CheckpointHeader;
pub use events::EventFile;
pub use folder::{RunError, RunFolder, write_atomically};
pub use follow::{RunChanges, RunReader};
pub use lock::{RunLock, RunState};
pub use metrics::{MetricsLine, MetricsLog, RunAlarm};
pub use record::{Outcome, RunRecord, Summarised};
pub use samples::{PooledRollout, Readable, RunSample, trace_files};
