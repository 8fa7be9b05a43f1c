//! What happens to the quantity in the end: given away, packed, sold, spent, shared, converted.

use super::Op;
use super::build::{Draft, Holder, Quantity, Stage, Tail};
use super::phrase::{Asked, part_of, pick};
use super::words::{GOODS, PACKS, RECEIVERS, Role, THINGS, WANTS};
use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

impl Draft {
    /// Something more happens to the running quantity.
    pub fn tail(&mut self, tail: &mut Tail, last: bool, rng: &mut ChaCha8Rng) -> Option<()> {
        let have = tail.running;
        let unseen = self.voice.unseen;
        let small = rng.random_range(2..=9);
        let parts = |most: i64| (2..=most).filter(|k| have.value % k == 0 && have.value / k >= 2).collect::<Vec<i64>>();
        let names: Vec<&'static str> = match tail.holder {
            Holder::One(p) => vec![self.cast[p]],
            Holder::All => Vec::new(),
        };
        let they = if let [name] = names[..] { name } else { "they" };
        let begin = if they == "they" { "They" } else { they };
        let one = names.len() == 1;
        let s = |verb: &str| if one { format!("{verb}s") } else { verb.to_string() };
        let ask = |asked: Asked, counted: &str| asked.question(counted, one.then_some(they), unseen);
        let u = tail.unit;
        let singular = THINGS.iter().chain(&PACKS).find(|(many, _)| *many == u).map_or(u, |(_, one)| *one);
        let take = |rng: &mut ChaCha8Rng, larger: bool| {
            let most = (have.value - 2).min(if larger { 900 } else { 60 });
            (most >= 2).then(|| rng.random_range(2..=most))
        };
        let given = Quantity::given;
        match (tail.stage, rng.random_range(0..8)) {
            (Stage::Things, 0..=1) => {
                let n = take(rng, self.larger)?;
                let place = *RECEIVERS.choose(rng)?;
                let seen = [format!("{begin} {} {n} {u} to {place}.", s("give"))];
                self.sentences.push(pick(rng, unseen, &seen, &[format!("Out of these, {n} {u} go to {place}.")]));
                self.left(tail, &names, given(n))?;
                tail.question = ask(Asked::Left, u);
            }
            (Stage::Things, 2) => {
                let k = *parts(5).choose(rng)?;
                let place = *RECEIVERS.choose(rng)?;
                let part = part_of(k);
                let seen = [format!("{begin} {} {part} the {u} to {place}.", s("give"))];
                self.sentences.push(pick(rng, unseen, &seen, &[format!("Out of these, {part} the {u} go to {place}.")]));
                let words = if unseen {
                    (format!("Of all the {u}, {they} {} away ", s("give")), ".".into())
                } else {
                    (format!("{begin} {} ", s("give")), format!(" {u} away."))
                };
                let gone = self.subject(&names, &[u], Some(Role::Gone));
                let gone = self.step(words, have, Op::Div, given(k), gone)?;
                self.left(tail, &names, gone)?;
                tail.question = ask(Asked::Left, u);
            }
            (Stage::Things, 3..=4) => {
                let k = *parts(12).choose(rng)?;
                let (many, single) = *PACKS.choose(rng)?;
                let seen = [
                    format!("{begin} {} {k} {u} in each {single}.", s("put")),
                    format!("{begin} {} all the {u} in {many} of {k}.", s("put")),
                ];
                self.sentences.push(pick(rng, unseen, &seen, &[format!("A {single} takes {k} {u}, and no {singular} may stay out.")]));
                self.counted(tail, &names, Op::Div, given(k), many, "fill")?;
                tail.question = ask(Asked::Action("fill"), many);
                tail.stage = Stage::Packs;
            }
            (Stage::Things | Stage::Dollars, 5) if last => {
                let k = *parts(12).choose(rng)?;
                let seen = [format!("{begin} {} the {u} equally among {k} children.", s("share"))];
                self.sentences.push(pick(rng, unseen, &seen, &[format!("The {u} go to {k} children in equal parts.")]));
                let words = if unseen {
                    (format!("The number of {u} for each child is "), ".".into())
                } else {
                    ("Each child gets ".into(), format!(" {u}."))
                };
                let subject = self.subject(&[], &[u], Some(Role::Each));
                tail.running = self.step(words, have, Op::Div, given(k), subject)?;
                tail.question = ask(Asked::Share, u);
                tail.stage = Stage::Done;
            }
            (Stage::Things | Stage::Packs, 6) => {
                let cents: Vec<i64> = [5, 10, 20, 25, 50].into_iter().filter(|c| have.value * c % 100 == 0).collect();
                let c = *cents.choose(rng)?;
                let seen = [format!("{begin} {} each {singular} for {c} cents.", s("sell"))];
                self.sentences.push(pick(rng, unseen, &seen, &[format!("A {singular} brings in {c} cents, and all are sold.")]));
                self.counted(tail, &names, Op::Mul, given(c), "cents", "get")?;
                tail.question = ask(Asked::Action("get"), "cents");
                tail.stage = Stage::Cents;
                if last || rng.random_bool(0.5) {
                    self.dollars(tail, unseen)?;
                }
            }
            (Stage::Things | Stage::Packs, _) => {
                let seen = [format!("{begin} {} each {singular} for {small} dollars.", s("sell"))];
                self.sentences.push(pick(rng, unseen, &seen, &[format!("A {singular} brings in {small} dollars, and all are sold.")]));
                self.counted(tail, &names, Op::Mul, given(small), "dollars", "get")?;
                tail.question = ask(Asked::Action("get"), "dollars");
                tail.stage = Stage::Dollars;
            }
            (Stage::Dollars, 0..=1) => {
                let n = take(rng, self.larger)?;
                let want = *WANTS.choose(rng)?;
                let seen = [format!("{begin} {} {n} dollars on {want}.", s("spend"))];
                self.sentences.push(pick(rng, unseen, &seen, &[format!("Out of this money, {n} dollars go into {want}.")]));
                self.left(tail, &names, given(n))?;
                tail.question = ask(Asked::Left, u);
            }
            (Stage::Dollars, 2..=3) => {
                let k = *parts(15).choose(rng)?;
                let (many, _) = *GOODS.choose(rng)?;
                let seen = [format!("{begin} {} all the dollars on {many} for {k} dollars each.", s("spend"))];
                self.sentences.push(pick(rng, unseen, &seen, &[format!("At {k} dollars each, {many} take all the money.")]));
                self.counted(tail, &names, Op::Div, given(k), many, "buy")?;
                tail.question = ask(Asked::Action("buy"), many);
                tail.stage = Stage::Done;
            }
            (Stage::Dollars | Stage::Pages | Stage::Minutes, 4..=7) if last => {
                let add = if self.larger { rng.random_range(20..=900) } else { rng.random_range(2..=60) };
                let goal = have.value + add;
                let base = self.voice.base();
                let sentence = match tail.stage {
                    Stage::Dollars => {
                        let want = *WANTS.choose(rng)?;
                        pick(
                            rng,
                            unseen,
                            &[format!("{begin} {} {goal} dollars for {want}.", s("need"))],
                            &[format!("The price of {want} is {goal} dollars.")],
                        )
                    }
                    _ => {
                        pick(rng, unseen, &[format!("{begin} {} to {base} {goal} {u}.", s("want"))], &[format!("The goal is {goal} {u}.")])
                    }
                };
                self.sentences.push(sentence);
                let words = if unseen {
                    (format!("{}the {u} missing are ", if one { format!("For {they}, ") } else { "So ".into() }), ".".into())
                } else {
                    (format!("{begin} {} ", s("need")), format!(" more {u}."))
                };
                let subject = self.subject(&names, &[u], Some(Role::More));
                tail.running = self.step(words, given(goal), Op::Sub, have, subject)?;
                tail.question = ask(Asked::Missing, u);
                tail.stage = Stage::Done;
            }
            (Stage::Pages, _) => {
                let m = rng.random_range(2..=5);
                self.sentences.push(pick(
                    rng,
                    unseen,
                    &[format!("Each page takes {m} minutes.")],
                    &[format!("It takes {m} minutes to get through one page.")],
                ));
                let words = if unseen {
                    ("The sum of minutes for all pages is ".into(), ".".into())
                } else {
                    ("The pages take ".into(), " minutes.".into())
                };
                let subject = self.subject(&[], &["minutes", "pages"], None);
                tail.running = self.step(words, have, Op::Mul, given(m), subject)?;
                tail.question = ask(Asked::Reading, "minutes");
                tail.unit = "minutes";
                tail.stage = Stage::Minutes;
                if tail.running.value % 60 == 0 {
                    self.hours(tail, unseen)?;
                }
            }
            (Stage::Minutes, _) => self.hours(tail, unseen)?,
            _ => return None,
        }
        Some(())
    }

    /// What is left of the running quantity.
    fn left(&mut self, tail: &mut Tail, names: &[&str], gone: Quantity) -> Option<()> {
        let u = tail.unit;
        let words = match (names, self.voice.unseen) {
            ([name], false) => (format!("{name} has "), format!(" {u} left.")),
            ([name], true) => (format!("That leaves {name} with "), format!(" {u}.")),
            (_, false) => ("They have ".into(), format!(" {u} left.")),
            (_, true) => ("That leaves them with ".into(), format!(" {u}.")),
        };
        let subject = self.subject(names, &[u], Some(Role::Left));
        tail.running = self.step(words, tail.running, Op::Sub, gone, subject)?;
        Some(())
    }

    /// The running quantity counted in something else: packs filled, dollars got, tickets bought.
    fn counted(&mut self, tail: &mut Tail, names: &[&str], op: Op, by: Quantity, unit: &'static str, verb: &str) -> Option<()> {
        let words = match (names, self.voice.unseen) {
            ([name], false) => (format!("{name} {verb}s "), format!(" {unit}.")),
            (_, false) => (format!("They {verb} "), format!(" {unit}.")),
            ([name], true) => (format!("The number of {unit} for {name} is "), ".".into()),
            (_, true) => (format!("The number of {unit} is "), ".".into()),
        };
        let subject = self.subject(names, &[unit], None);
        tail.running = self.step(words, tail.running, op, by, subject)?;
        tail.unit = unit;
        Some(())
    }

    fn dollars(&mut self, tail: &mut Tail, unseen: bool) -> Option<()> {
        let words = if unseen { ("That makes ".into(), " dollars.".into()) } else { ("That is ".into(), " dollars.".into()) };
        let subject = self.subject(&[], &["dollars"], None);
        tail.running = self.step(words, tail.running, Op::Div, Quantity::given(100), subject)?;
        tail.question = tail.question.replacen("cents", "dollars", 1);
        tail.unit = "dollars";
        tail.stage = Stage::Dollars;
        Some(())
    }

    fn hours(&mut self, tail: &mut Tail, unseen: bool) -> Option<()> {
        let words = if unseen { ("That makes ".into(), " hours.".into()) } else { ("That is ".into(), " hours.".into()) };
        let subject = self.subject(&[], &["hours"], None);
        tail.running = self.step(words, tail.running, Op::Div, Quantity::given(60), subject)?;
        tail.question = tail.question.replacen("minutes", "hours", 1);
        tail.unit = "hours";
        tail.stage = Stage::Done;
        Some(())
    }
}
