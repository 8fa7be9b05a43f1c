//! Which problems a model has seen in training: written beside its weights, and read back before it is judged.

use crate::model::ModelFiles;
use crate::reward::RewardCard;
use crate::task::{TRAINING_PROBLEMS, Task, TrainingProblems};
use crate::trace::Trace;
use crate::train::TrainError;
use crate::train::models::checkpoint::write_atomically;
use std::path::Path;

/// Stories that are made anew for a card at most: a number in a file is a claim by which time is spent, and no model here has seen a tenth of these.
const MOST_STORIES: usize = 10_000_000;

/// Writes the record into a model's directory.
pub fn write(dir: &Path, seen: &TrainingProblems) -> Result<(), TrainError> {
    write_atomically(&dir.join(TRAINING_PROBLEMS), &seen.to_bytes())
}

/// What the model that a recipe starts from has seen; nothing where it does not say.
pub fn of_base(from: Option<&String>) -> Result<TrainingProblems, TrainError> {
    let Some(from) = from else { return Ok(TrainingProblems::default()) };
    Ok(training_problems(&ModelFiles::open(Path::new(from))?)?.unwrap_or_default())
}

/// The problems that a model was trained on, as its directory records them; `None` where nothing is recorded.
///
/// A reward model for stories without a record, such as the embedded one, still says in its card which seed and how many demonstrations it was trained
/// on; those are made anew.
pub fn training_problems(files: &ModelFiles) -> Result<Option<TrainingProblems>, TrainError> {
    let broken = |name: &str, what: String| TrainError::Checkpoint { path: files.path_of(name), what };
    if files.has(TRAINING_PROBLEMS) {
        let bytes = files.read(TRAINING_PROBLEMS)?;
        return TrainingProblems::from_bytes(&bytes).map(Some).map_err(|e| broken(TRAINING_PROBLEMS, e));
    }
    if !files.has(RewardCard::FILE) {
        return Ok(None);
    }
    let card: RewardCard = serde_json::from_slice(&files.read(RewardCard::FILE)?).map_err(|e| broken(RewardCard::FILE, e.to_string()))?;
    if card.task != Task::Stories.name() {
        return Ok(None);
    }
    if card.demonstrations > MOST_STORIES {
        return Err(broken(
            RewardCard::FILE,
            format!("demonstrations is {}; a model has seen {MOST_STORIES} at most", card.demonstrations),
        ));
    }
    Ok(Some(TrainingProblems::stories(card.seed, card.demonstrations as u64)))
}

/// The ids of the traces whose problems a model was trained on; `None` where its directory does not say what it was trained on.
pub fn overlap<'a>(files: &ModelFiles, traces: impl IntoIterator<Item = &'a Trace>) -> Result<Option<Vec<String>>, TrainError> {
    Ok(training_problems(files)?.map(|seen| seen.overlap(traces)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::stories::{Split, story};

    fn trace(problem: &str) -> Trace {
        Trace { id: "t".into(), problem: problem.into(), ..Trace::default() }
    }

    #[test]
    fn records_are_read_back_and_damage_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let files = ModelFiles::Directory(dir.path().into());
        assert_eq!(overlap(&files, &[trace("Q 1")]).unwrap(), None, "nothing is recorded");
        write(dir.path(), &TrainingProblems::new(["Q 1", "Q 2"])).unwrap();
        assert_eq!(overlap(&files, &[trace("q, 1!"), trace("Q 3")]).unwrap(), Some(vec!["t".to_owned()]));
        std::fs::write(dir.path().join(TRAINING_PROBLEMS), "x").unwrap();
        let e = overlap(&files, &[]).unwrap_err().to_string();
        assert!(e.contains("training_problems.bin") && e.contains("no list of training problems"), "{e}");
    }

    #[test]
    fn a_card_for_stories_says_which_they_were() {
        let dir = tempfile::tempdir().unwrap();
        let files = ModelFiles::Directory(dir.path().into());
        let card = RewardCard { task: "stories".into(), seed: 5, demonstrations: 20, ..RewardCard::default() };
        std::fs::write(dir.path().join(RewardCard::FILE), serde_json::to_vec(&card).unwrap()).unwrap();
        let of = |i| trace(&story(Split::Train, 5, i).problem);
        assert_eq!(overlap(&files, &[of(3), of(19), of(20)]).unwrap().unwrap().len(), 2);
        let boast = RewardCard { demonstrations: usize::MAX, ..card.clone() };
        std::fs::write(dir.path().join(RewardCard::FILE), serde_json::to_vec(&boast).unwrap()).unwrap();
        let e = overlap(&files, &[]).unwrap_err().to_string();
        assert!(e.contains("reward.json") && e.contains("demonstrations is"), "{e}");
        let card = RewardCard { task: "gsm8k".into(), ..card };
        std::fs::write(dir.path().join(RewardCard::FILE), serde_json::to_vec(&card).unwrap()).unwrap();
        assert_eq!(training_problems(&files).unwrap(), None);
    }
}
