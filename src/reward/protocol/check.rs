//! Whether the parts of a protocol fit together.

use super::{At, HeadKind, Label, Protocol, Says, Shape, Squash};

/// No critique of a step has more tokens.
const MOST_WRITTEN: usize = 1 << 17;

impl Protocol {
    /// What does not fit together, as a sentence that names the field.
    pub(super) fn check(&self) -> Result<(), String> {
        let Self { input, read, .. } = self;
        let tagged = !input.tag.is_empty() || !input.tag_ids.is_empty();
        let says = |ok: bool, what: &str| if ok { Ok(()) } else { Err(what.to_owned()) };
        says(input.problem.contains("{problem}"), "input.problem lacks {problem}")?;
        says(tagged || !matches!(read.at, At::Tag | At::TagStart | At::Marker), "read.at is the tag, but input.tag is empty")?;
        self.check_write(tagged)?;
        says(
            tagged || self.write.is_some() || input.layout != Shape::Turns,
            "input.layout is \"turns\", which needs what the assistant says in input.tag",
        )?;
        says(
            input.layout != Shape::Turns || read.at != At::End,
            "input.layout \"turns\" cannot be read at the end: give read.at a step's position",
        )?;
        let chats = matches!(input.layout, Shape::Chat | Shape::Turns);
        says(input.system.is_none() || chats, "input.system needs a chat: layout \"chat\" or \"turns\"")?;
        if read.at == At::Marker {
            let markers = match (&read.positive[..], &read.negative[..]) {
                ([Label::Text(good)], [Label::Text(bad)]) => good == &input.tag && !bad.is_empty() && input.tag_ids.is_empty(),
                _ => false,
            };
            says(
                markers && input.layout != Shape::Turns && read.head == HeadKind::Lm,
                "read.at is \"marker\", which needs read.head \"lm\", input.tag as the one text of read.positive, and the bad marker in read.negative",
            )?;
        }
        let whole_text = input.layout == Shape::Plain && input.problem == "{problem}\n" && !tagged;
        let bare = [&input.first, &input.between, &input.after].iter().all(|t| t.is_empty());
        let tokens = whole_text && bare && read.score == Squash::Logit && matches!(read.head, HeadKind::Linear | HeadKind::Likelihood);
        says(
            tokens || read.at != At::Token,
            "read.at is \"token\", which needs layout \"plain\", input.problem \"{problem}\\n\" and nothing else, read.head \"linear\" or \"likelihood\", read.score \"logit\"",
        )?;
        says(
            read.head != HeadKind::Likelihood || read.at == At::Token,
            "read.head \"likelihood\" is read at every token: read.at \"token\"",
        )?;
        let chances = matches!(read.score, Squash::Softmax | Squash::Sigmoid) && !matches!(read.at, At::End | At::Token);
        says(
            chances || self.output.steps == Says::Score,
            "output.steps is \"first_error\", which needs a chance a step: read.score \"softmax\" or \"sigmoid\" at a step's position",
        )?;
        let lm = read.head == HeadKind::Lm;
        says(lm || !read.tensor.is_empty(), "read.tensor is empty: name the head's tensor, for example \"score\"")?;
        says(!lm || read.tensor.is_empty(), "read.tensor has no meaning for read.head \"lm\"")?;
        let numbers = read.positive.iter().chain(&read.negative).all(|l| matches!(l, Label::Id(_)));
        says(lm || numbers, "read.positive and read.negative of a head are row numbers")?;
        match read.score {
            Squash::Softmax | Squash::Difference => {
                says(!read.positive.is_empty(), "read.positive is empty: name the good classes")?;
                says(!lm || !read.negative.is_empty(), "read.negative is empty: name the bad tokens")
            }
            Squash::Sigmoid | Squash::Logit => {
                says(!lm, "read.score \"sigmoid\" and \"logit\" need a head of one row; of lm_head take \"softmax\" over two tokens")
            }
            Squash::SigmoidOfMean => says(lm, "read.score \"sigmoid_of_mean\" is of read.head \"lm\" alone"),
        }
    }

    /// The same of what the model writes.
    fn check_write(&self, tagged: bool) -> Result<(), String> {
        let Some(write) = &self.write else {
            return if self.read.at == At::Verdict { Err("read.at is \"verdict\", but there is no part [write]".into()) } else { Ok(()) };
        };
        let text = |labels: &[Label]| matches!(labels, [Label::Text(_), ..]);
        let alone = self.input.problem.contains("{step}");
        let fits = match self.input.layout {
            Shape::Turns => !alone,
            Shape::Chat => alone,
            Shape::Plain | Shape::Auto => false,
        };
        let reads = self.read.at == At::Verdict && self.read.head == HeadKind::Lm && self.read.score == Squash::Softmax;
        match () {
            () if !fits => Err("a model that writes needs input.layout \"turns\", or \"chat\" with {step} in input.problem".into()),
            () if !reads || !text(&self.read.positive) || !text(&self.read.negative) => Err(
                "a model that writes is read by read.at \"verdict\", read.head \"lm\", read.score \"softmax\", and texts in read.positive and read.negative".into(),
            ),
            () if tagged => Err("input.tag has no meaning where the model writes".into()),
            () if write.tokens == 0 || write.tokens > MOST_WRITTEN => Err(format!("write.tokens is {}; it must be 1 to {MOST_WRITTEN}", write.tokens)),
            () => Ok(()),
        }
    }
}
