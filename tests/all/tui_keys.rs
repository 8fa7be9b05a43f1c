//! Keys, mouse and paste against the real state: what was typed, what is seen.

use crate::tui_fixture::{PROBLEM, Screen, Setup, problems, ready, reward_slot, streaming, writing};
use crossterm::event::{MouseButton, MouseEventKind};
use reasonscope::format::{Options, TraceList};
use reasonscope::runtime::{ModelsStatus, Request, Slot, Update};
use reasonscope::trace::{Aggregation, FinishReason, Granularity, REWARD, Rule, Span, TokenValue, Trace, TraceEvent};
use reasonscope::tui::{Action, Labels};

fn line<'a>(text: &'a str, word: &str) -> &'a str {
    text.lines().find(|l| l.contains(word)).unwrap_or_else(|| panic!("{word:?} is not in\n{text}"))
}

/// The line above the status bar that shows the selected step.
fn step(s: &mut Screen) -> String {
    let text = s.text();
    let detail = text.lines().find_map(|l| {
        l.trim_start_matches(|c| " │".contains(c)).strip_prefix("step ").filter(|r| r.starts_with(|c: char| c.is_ascii_digit()))
    });
    detail.unwrap_or_else(|| panic!("no step in\n{text}")).split_whitespace().next().unwrap_or_default().to_string()
}

fn candidate(s: &mut Screen) -> String {
    let text = s.text();
    let detail =
        text.lines().find_map(|l| l.trim_start().strip_prefix("candidate ").filter(|r| r.starts_with(|c: char| c.is_ascii_digit())));
    detail.unwrap_or_else(|| panic!("no candidate in\n{text}")).split_whitespace().next().unwrap_or_default().to_string()
}

fn live() -> Screen {
    let mut s = Screen::open(Setup { size: (120, 40), live: true, ..Setup::default() });
    s.updates([ready()]);
    s
}

fn last_id(s: &Screen) -> u64 {
    let ids = s.sent.iter().filter_map(|r| if let Request::Generate { id, .. } = r { Some(*id) } else { None });
    ids.max().expect("a request")
}

#[test]
fn steps_are_walked_with_counts_and_sequences() {
    let mut s = Screen::open(Setup::default());
    s.keys("<ret>");
    for (keys, want) in
        [("j", "2/6"), ("3j", "5/6"), ("9j", "6/6"), ("2k", "4/6"), ("gg", "1/6"), ("G", "6/6"), ("3gg", "3/6"), ("<down>", "4/6")]
    {
        s.keys(keys);
        assert_eq!(step(&mut s), want, "after {keys}");
    }
}

#[test]
fn steps_are_labelled_and_the_labels_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("labels.jsonl");
    let open = || Screen::open(Setup { size: (120, 40), labels: Some(Labels::open(&path).unwrap()), ..Setup::default() });
    let detail = |s: &mut Screen| line(&s.text(), "step 2/").to_owned();
    let mut s = open();
    s.keys("<ret> + j -");
    assert!(detail(&mut s).contains("label wrong") && detail(&mut s).contains("labelled"), "{}", s.text());
    assert!(s.text().contains("labelled first error"), "{}", s.text());
    drop(s);
    // Another session shows them, marks more and takes one off.
    let mut s = open();
    s.keys("<ret> j");
    assert!(detail(&mut s).contains("label wrong"), "{}", s.text());
    s.keys("-");
    assert!(!detail(&mut s).contains("label wrong"), "{}", s.text());
    s.keys("G -");
    let kept = TraceList::open(&[path.display().to_string()], Options::default()).unwrap();
    let traces: Vec<Trace> = kept.iter().map(Result::unwrap).collect();
    let labels: Vec<Option<f32>> = traces[0].candidates[0].steps.iter().map(|s| s.label).collect();
    assert_eq!((traces.len(), labels), (1, vec![Some(1.0), None, None, None, None, Some(0.0)]));
    // Where labels are not kept, the key says so.
    let mut s = Screen::open(Setup::default());
    s.keys("<ret> +");
    assert!(s.text().contains("labels are not kept"), "{}", s.text());
}

#[test]
fn deviations_are_found_over_all_candidates() {
    let mut s = Screen::open(Setup::default());
    s.keys("4gg <ret> ]e");
    let first = (candidate(&mut s), step(&mut s));
    s.keys("]e");
    let second = (candidate(&mut s), step(&mut s));
    s.keys("[e");
    assert_eq!((candidate(&mut s), step(&mut s)), first);
    assert_ne!(first, second);
    assert_eq!(first.0, "3/8", "the third candidate is the first that goes wrong");
    s.keys("j <ret>");
    assert!(s.text().contains("candidate 3 of 8"), "enter shows it alone");
    s.keys("<esc>");
    assert!(s.text().contains("8 candidates"), "esc shows all again");
}

#[test]
fn prediction_and_label_stand_beside_each_other() {
    let mut s = Screen::open(Setup::default());
    s.keys("2gg <ret> ]g");
    assert_eq!(step(&mut s), "3/6");
    let text = s.text();
    let both = line(&text, "first deviation");
    assert!(both.contains("✗ first deviation") && both.contains("◆ labelled here too"), "{both}");
    s.keys("]t");
    let text = s.text();
    assert!(text.contains("◆ labelled first error"), "another step is labelled than predicted:\n{text}");
}

#[test]
fn why_a_step_is_marked_is_said_with_the_task_and_fits() {
    let shown = |w: u16, keys: &str| {
        let mut traces = problems();
        traces[0].candidates = vec![crate::tui_fixture::candidate(2)];
        let mut s = Screen::with(Setup { size: (w, 24), live: true, ..Setup::default() }, traces);
        s.updates([ready()]);
        s.keys(keys);
        line(&s.text(), "first deviation").to_string()
    };
    assert!(
        shown(99, "gg").contains("first deviation · reward.min −1.89 is below −0.40 (false alarms 10 % on stories)"),
        "{}",
        shown(99, "gg")
    );
    for w in [80, 70, 60, 50] {
        let why = shown(w, "gg");
        assert!(why.contains("· ") && why.contains("−1.89") && why.contains("−0.40") && !why.contains('…'), "{w}: {why}");
    }
    assert!(shown(80, "gg").contains("(false alarms 10 % on stories)"), "{}", shown(80, "gg"));
}

#[test]
fn tokens_show_exact_numbers() {
    let mut s = Screen::open(Setup::default());
    s.keys("2gg <ret> 3gg 4w");
    let text = s.text();
    let token = line(&text, "token ");
    for part in ["id ", "logit ", "log-prob ", "p "] {
        assert!(token.contains(part), "{part} is not in {token}");
    }
    s.keys("<esc>");
    assert!(!s.text().contains("token 3"));
}

#[test]
fn heat_colours_tokens_and_goes_off_again() {
    let mut s = Screen::open(Setup::default());
    s.keys("2gg <ret>");
    let plain = s.draw().clone();
    s.keys("t");
    let warm = s.draw().clone();
    assert_ne!(plain, warm);
    s.keys("t t t t j k");
    assert_eq!(s.draw().clone(), {
        s.keys("k");
        s.draw().clone()
    });
    let rows = |b: &ratatui::buffer::Buffer| (4..12).flat_map(|y| (30..60).map(move |x| (x, y))).map(|p| b[p].bg).collect::<Vec<_>>();
    assert_eq!(rows(&plain), rows(s.draw()), "off after every signal");
}

#[test]
fn settings_are_cycled_typed_and_checked() {
    let mut s = live();
    let id = last_id(&s);
    s.updates(streaming(id, 8, 3));
    s.keys("s a d");
    assert_eq!(s.face.settings().granularity, Granularity::Sparse);
    assert_eq!(s.face.settings().aggregation, Aggregation::Min);
    assert_eq!(s.face.settings().detect_by.as_ref().map(|d| d.rule), Some(Rule::LargestDrop));
    s.keys(", <ret> 4 <ret> j 3h <ret> 0 . 7 <ret>");
    assert_eq!((s.face.settings().n, s.face.settings().sampling.temperature), (4, 0.7));
    s.keys("k <ret> 0 <ret>");
    assert!(s.text().contains("no whole number from 1 to"), "a wrong number is told");
    s.keys("<esc> <esc>");
    assert_eq!(s.face.settings().n, 4);
    assert!(!s.text().contains("Settings"));
}

#[test]
fn sparse_rewards_mark_no_step() {
    let mut s = Screen::open(Setup { size: (120, 40), ..Setup::default() });
    s.keys("2gg <ret>");
    assert!(s.text().contains("first deviation"));
    s.keys("s");
    let text = s.text();
    assert!(!text.contains("✗ first deviation"), "{text}");
    assert!(text.contains("granularity: sparse: one reward for all steps, so none is marked"), "{text}");
    s.keys("d");
    let text = s.text();
    assert!(!text.contains("✗ first deviation") && text.contains("reward.min drop: sparse is one reward"), "{text}");
    s.keys("]e");
    assert!(s.text().contains("granularity sparse: one reward"), "{}", s.text());
    s.keys("d");
    s.updates([ready()]);
    assert!(s.text().contains("✗ first deviation"), "the policy's own numbers have their places:\n{}", s.text());
}

#[test]
fn sparse_leaves_rewards_that_came_a_step_each() {
    let mut s = Screen::open(Setup { size: (120, 40), ..Setup::default() });
    s.keys("6gg <ret> s");
    assert!(s.text().contains("✗ first deviation"), "{}", s.text());
}

#[test]
fn every_setting_has_its_row_where_headings_do_not_fit() {
    let mut s = live();
    s.keys(",");
    assert!(s.text().contains("Reading: at once"));
    s.resize(60, 15);
    let text = s.text();
    for name in ["candidates", "seed  ", "granularity"] {
        assert!(text.contains(name), "{name}:\n{text}");
    }
    s.keys("k");
    assert!(s.text().contains("beside it") && s.text().contains("deviation"), "{}", s.text());
    assert!(!text.contains("at once"), "{text}");
}

#[test]
fn the_first_problem_is_generated_for_once_the_policy_is_there() {
    let mut s = Screen::open(Setup { size: (120, 40), live: true, ..Setup::default() });
    assert!(s.sent.is_empty());
    let loading = |progress| {
        let slot = |name: &str| Slot::Loading { name: name.into(), progress };
        Update::Models(ModelsStatus { policy: slot("p"), rewards: vec![reward_slot(slot("r"))], ..ModelsStatus::default() })
    };
    s.updates([loading(0.4)]);
    assert!(s.text().contains("loading p: 40 %"));
    s.updates([ready()]);
    assert!(matches!(&s.sent[..], [Request::Generate { problem, n: 8, .. }] if problem == PROBLEM));
}

#[test]
fn generating_again_takes_another_seed_unless_it_is_to_be_repeated() {
    let mut s = live();
    s.keys("r R x");
    let seeds: Vec<String> = s
        .sent
        .iter()
        .map(|r| match r {
            Request::Generate { sampling, .. } => format!("seed {}", sampling.seed),
            Request::Cancel { .. } => "cancel".into(),
            Request::Score { .. } => "score".into(),
            Request::Read { .. } => "read".into(),
        })
        .collect();
    assert_eq!(seeds, ["seed 0", "cancel", "seed 1", "cancel", "seed 1", "cancel"]);
}

#[test]
fn a_cancelled_run_takes_no_more_text() {
    let mut s = live();
    let id = last_id(&s);
    s.updates(streaming(id, 8, 3).into_iter().take(40));
    s.keys("r");
    let before = s.text();
    s.updates(streaming(id, 8, 3).into_iter().skip(40).take(40));
    assert_eq!(s.text(), before, "events of an older request are not for the screen");
    s.updates([Update::Event { id: last_id(&s), event: TraceEvent::Finished { candidate: 0, reason: FinishReason::Cancelled } }]);
    assert!(s.text().contains("cancelled"));
}

#[test]
fn candidates_are_ranked_live_and_votes_counted() {
    let mut s = live();
    let id = last_id(&s);
    s.updates(writing(id, 2, 4));
    s.updates(writing(id, 0, 4));
    let text = s.text();
    let rows: Vec<&str> = text.lines().filter(|l| l.contains(" #1 ") || l.contains(" #3 ")).take(2).collect();
    assert!(rows[0].contains("1  #1") && rows[1].contains("2  #3"), "the right one is above the wrong one:\n{text}");
    s.updates((0..8).filter(|k| ![0, 2].contains(k)).flat_map(|k| writing(id, k, 4)));
    let text = s.text();
    assert!(line(&text, "×4").contains("✓ 3"), "{text}");
}

/// Text of candidate `k` with rewards of what the reward model has read of it.
fn half_read(id: u64, k: usize, text: &str, read: &[(usize, usize, f32)]) -> [Update; 2] {
    let rewards = read.iter().map(|r| TokenValue { span: Span::new(r.0, r.1), value: r.2 }).collect();
    let signal = REWARD.into();
    [
        TraceEvent::Tokens { candidate: k, text: text.into(), tokens: Vec::new() },
        TraceEvent::Rewards { candidate: k, signal, from: 0, rewards },
    ]
    .map(|event| Update::Event { id, event })
}

#[test]
fn a_line_that_is_not_read_yet_has_no_reward_and_lifts_nobody() {
    let mut s = live();
    let id = last_id(&s);
    // The newline is read with the line that it ends; it stands before the next one.
    s.updates(half_read(id, 0, "One is 1.\nSo her total", &[(0, 9, -3.0), (9, 10, 0.0)]));
    s.updates(half_read(id, 1, "Two is 2.\nSo", &[(0, 9, -2.0), (9, 10, 0.0)]));
    s.keys("2gg");
    let text = s.text();
    let rows: Vec<&str> = text.lines().filter(|l| l.contains(" #1 ") || l.contains(" #2 ")).take(2).collect();
    assert!(rows[0].contains("1  #2") && rows[0].contains("−2.00") && rows[0].contains("▃·"), "{text}");
    assert!(rows[1].contains("2  #1") && rows[1].contains("−3.00"), "{text}");
    assert!(line(&text, "So her").contains("· "), "{text}");
    assert!(line(&text, "step 2/2").contains("not scored yet"), "{text}");
    assert!(!line(&text, "step 2/2").contains("0.0"), "{text}");
}

#[test]
fn the_cursor_leaves_the_sign_of_a_large_reward() {
    for (w, h) in [(60, 15), (80, 24), (120, 40), (200, 60)] {
        let mut s = live();
        s.resize(w, h);
        let id = last_id(&s);
        let long = "A line that is long enough for several rows of a narrow column, and then for some more of a wide one, whatever \
            the width is.\n";
        for k in 0..8 {
            s.updates(half_read(id, k, long, &[(0, long.len(), -20.5)]));
        }
        s.keys("gg");
        let text = s.text();
        // The smallest screen has one wide column, with the number before the reward.
        assert!(text.contains(if w == 60 { "┃  1 ▼ −20.5 " } else { "┃−20.5 " }), "{w}x{h}:\n{text}");
        assert!(!text.contains("┃20.5"), "{w}x{h}:\n{text}");
    }
}

#[test]
fn tokens_are_the_policys_and_the_reward_models_are_called_so() {
    let rewards = |n: usize| (0..n).map(|i| TokenValue { span: Span::new(i, i + 1), value: 1.0 }).collect::<Vec<_>>();
    let mut traces = problems();
    let mut written = crate::tui_fixture::candidate(0);
    written.tokens.truncate(60);
    written = written.with_rewards(rewards(128));
    let mut bare = written.clone();
    bare.tokens.clear();
    traces[0].candidates = vec![written, bare.clone()];
    traces[1].candidates = vec![bare.clone(), bare];
    let mut s = Screen::with(Setup { size: (120, 40), ..Setup::default() }, traces);
    s.keys("<ret>");
    let text = s.text();
    assert!(line(&text, "candidate 1/2").contains("tokens 60"), "{text}");
    assert!(line(&text, "rank #").contains(" tokens") && line(&text, " #1 ").contains(" 60 "), "{text}");
    assert!(!line(&text, " #2 ").contains("128"), "{text}");
    s.keys("l");
    assert!(line(&s.text(), "candidate 2/2").contains("reward model's tokens 128"));
    s.keys("]t");
    let text = s.text();
    assert!(line(&text, "rank #").contains("rm tok") && line(&text, " #1 ").contains("128"), "{text}");
}

#[test]
fn the_board_tells_how_many_candidates_it_hides() {
    let mut s = Screen::open(Setup::default());
    s.keys("4gg <ret>");
    let text = s.text();
    let listed = (1..=8).filter(|k| text.lines().skip(3).take(12).any(|l| l.contains(&format!("  #{k}  ")))).count();
    assert!(text.contains(&format!("{listed} of 8 ")) && listed < 8, "{listed}:\n{text}");
    s.resize(120, 40);
    assert!(!s.text().contains(" of 8 "), "{}", s.text());
}

#[test]
fn how_to_clear_the_editor_is_said() {
    let mut s = live();
    s.keys("e");
    assert!(s.text().matches("ctrl-u").count() == 2, "{}", s.text());
    s.resize(80, 24);
    assert!(s.text().contains("ctrl-u delete line"), "{}", s.text());
    s.resize(60, 15);
    assert!(s.text().contains("ctrl-u delete line") && s.text().contains("esc give up"), "{}", s.text());
}

#[test]
fn a_problem_of_ones_own_is_typed_pasted_and_generated_for() {
    let mut s = live();
    s.keys("e <C-u> <C-u>");
    s.paste("How many legs\r\nhave 7 ");
    s.keys("c a t s ? <ret>");
    match s.sent.last() {
        Some(Request::Generate { problem, .. }) => assert!(problem.ends_with("How many legs\nhave 7 cats?"), "{problem}"),
        other => panic!("{other:?}"),
    }
    s.keys("<tab>");
    assert!(s.text().contains("Problems 1/6"), "it is listed first");
}

#[test]
fn search_goes_through_steps_and_through_the_list() {
    let mut s = Screen::open(Setup::default());
    s.keys("2gg <ret> / 6 4 <ret>");
    let first = step(&mut s);
    assert_eq!(first, "3/6");
    s.keys("n");
    assert_eq!(step(&mut s), "4/6");
    s.keys("N");
    assert_eq!(step(&mut s), first);
    s.keys("<esc> <esc> / p r o g r a m <ret>");
    assert!(s.text().contains("Problems 5/40"), "{}", s.text());
    s.keys("/ n o w h e r e <ret>");
    assert!(s.text().contains("\"nowhere\" is in no problem listed"));
}

#[test]
fn a_filter_lists_what_it_says_and_an_empty_one_all() {
    let mut s = Screen::open(Setup::default());
    s.keys("f");
    s.paste("gold:wrong bakery");
    s.keys("<ret>");
    let text = s.text();
    assert!(text.contains("Problems 1/5"), "{text}");
    s.keys("f <C-u> <ret>");
    assert!(s.text().contains("/40"));
    s.keys("f");
    s.paste("gold:wrong never");
    s.keys("<ret>");
    assert!(s.text().contains("nothing passes the filter"));
}

#[test]
fn the_list_follows_a_query_while_it_is_written() {
    let mut s = Screen::open(Setup::default());
    let listed = |s: &mut Screen| {
        let text = s.text();
        text.lines()
            .find_map(|l| Some(l.split("Problems ").nth(1)?.split_whitespace().next()?.to_owned()))
            .unwrap_or_else(|| panic!("{text}"))
    };
    s.keys("f");
    s.paste("gold:wr");
    assert!(s.text().contains("gold:wrong"), "a word may become:\n{}", s.text());
    s.keys("<tab>");
    let text = s.text();
    assert!(text.contains("filter gold:wrong") && text.contains(" of 40"), "{text}");
    let wrong = listed(&mut s);
    s.paste(" and (dev<");
    let text = s.text();
    assert!(text.contains("a value must follow dev"), "{text}");
    assert_eq!(listed(&mut s), wrong, "what is no query yet changes nothing");
    s.keys("<ret>");
    assert!(s.text().contains("filter gold:wrong and (dev<"), "it stays open until it is a query");
    s.keys("<esc>");
    assert!(listed(&mut s).ends_with("/40"), "given up, all are there again");
    s.keys("f");
    s.paste("steps>0 not gold:wrong");
    s.keys("<ret> f");
    assert!(s.text().contains("filter steps>0 not gold:wrong"), "it can be changed");
    let rest: usize = listed(&mut s).rsplit('/').next().unwrap().parse().unwrap();
    assert_eq!(rest + wrong.rsplit('/').next().unwrap().parse::<usize>().unwrap(), 40);
}

#[test]
fn esc_leads_back_and_q_out() {
    let mut s = Screen::open(Setup::default());
    s.keys("? j <esc>");
    assert!(!s.text().contains("Everywhere"));
    s.keys("4gg <ret> <ret> <esc> <esc>");
    assert!(s.text().contains("Problems 4/40"));
    s.keys("m q");
    assert!(!s.quit, "q closes the messages");
    s.keys("q");
    assert!(s.quit);
}

#[test]
fn the_help_comes_from_the_table() {
    let mut s = Screen::open(Setup { size: (120, 160), ..Setup::default() });
    s.keys("?");
    let text = s.text();
    for b in reasonscope::tui::BINDINGS.iter().filter(|b| !b.context.is_watch()) {
        assert!(text.contains(&b.desc[..b.desc.len().min(50)]), "{} is not in the help:\n{text}", b.desc);
    }
}

#[test]
fn the_mouse_selects_opens_and_scrolls() {
    let mut s = Screen::open(Setup::default());
    let left = MouseEventKind::Down(MouseButton::Left);
    s.mouse(left, 5, 2);
    assert!(s.text().contains("Problems 2/40"));
    s.mouse(left, 5, 2);
    assert!(s.text().contains("gsm8k-1"), "a second click opens");
    s.mouse(left, 40, 6);
    assert_ne!(step(&mut s), "1/6");
    s.keys("<esc> 4gg <ret>");
    s.mouse(left, 60, 14);
    let (c, _) = (candidate(&mut s), ());
    assert_ne!(c, "1/8", "a click on a column selects its candidate");
    let before = s.text();
    s.mouse(MouseEventKind::ScrollDown, 60, 14);
    assert_ne!(s.text(), before);
}

#[test]
fn recorded_traces_without_rewards_are_scored_what_is_on_screen_first() {
    let mut traces = problems();
    for (k, t) in traces.iter_mut().enumerate() {
        let mut c = crate::tui_fixture::candidate(k);
        c.signals.clear();
        t.candidates = vec![c];
    }
    let mut s = Screen::with(Setup { size: (120, 40), live: true, ..Setup::default() }, traces);
    s.updates([ready()]);
    let of = |s: &Screen| -> Vec<(u64, bool)> {
        s.sent.iter().filter_map(|r| if let Request::Score { id, urgent, .. } = r { Some((*id, *urgent)) } else { None }).collect()
    };
    let first = of(&s);
    assert!(matches!(first[..], [(_, true)]), "{first:?}");
    for u in writing(first[0].0, 0, 5) {
        if let Update::Event { event: TraceEvent::Rewards { .. }, .. } = &u {
            s.updates([u]);
        }
    }
    assert!(s.text().contains("reward.min ▲"), "{}", s.text());
    s.updates([Update::Done { id: first[0].0, tokens_per_second: None }]);
    assert!(matches!(of(&s)[..], [_, (_, false)]), "the next ones follow, not urgently");
}

#[test]
fn predictions_in_the_list_follow_the_settings() {
    let mut traces = problems();
    for (k, t) in traces.iter_mut().enumerate() {
        t.candidates = vec![crate::tui_fixture::candidate([2, 5, 7, 0, 4][k])];
    }
    let mut s = Screen::with(Setup { size: (120, 40), live: true, ..Setup::default() }, traces);
    s.updates([ready()]);
    s.keys("<tab> j j j j k k k k");
    let marks =
        |s: &mut Screen| s.text().lines().skip(1).take(5).map(|l| l[..l.find('│').unwrap()].trim_end().to_string()).collect::<Vec<_>>();
    let before = marks(&mut s);
    let ends: Vec<char> = before.iter().filter_map(|l| l.chars().last()).collect();
    assert_eq!(ends, ['1', '3', '4', '·', '1'], "{before:?}");
    s.keys("a a a a a");
    assert_eq!(marks(&mut s), before, "all the way round");
    for key in ["s s", "a", "d"] {
        s.keys(key);
        let now = marks(&mut s);
        let known = |l: &String| l.ends_with('·') || l.rsplit(' ').next().is_some_and(|w| w.starts_with('✗'));
        assert!(now.iter().all(known), "after {key}: {now:?}");
    }
}

#[test]
fn failures_are_told_and_the_rest_goes_on() {
    let mut s = live();
    let id = last_id(&s);
    s.updates([Update::Failed { id, error: "the context is full; ask for fewer tokens".into() }]);
    assert!(s.text().contains("the context is full; ask for fewer tokens"));
    s.keys("m");
    assert!(s.text().contains("the context is full"), "it is among the messages");
    s.keys("<esc>");
    s.act(Action::ModelsGone);
    assert!(s.text().contains("the models' thread ended"));
    s.keys("j l v v");
}

#[test]
fn lints_are_counted_and_listed() {
    let mut traces = problems();
    let cut = reasonscope::trace::Candidate { finish: Some(FinishReason::Length), ..crate::tui_fixture::candidate(0) };
    traces[0].candidates = vec![cut, crate::tui_fixture::candidate(1)];
    let mut s = Screen::with(Setup { size: (120, 40), ..Setup::default() }, traces);
    s.keys("<ret>");
    assert!(s.text().contains("(m)"), "{}", s.text());
    s.keys("m");
    let text = s.text();
    assert!(text.contains("candidate 1: ") && text.contains("(truncated)"), "{text}");
}

#[test]
fn an_empty_problem_is_no_request() {
    let mut traces = problems();
    traces[0].problem = "  \n".into();
    let mut s = Screen::with(Setup { size: (80, 24), live: true, ..Setup::default() }, traces);
    s.updates([ready()]);
    assert!(s.sent.is_empty());
    assert!(s.text().contains("the problem is empty"));
}

#[test]
fn nothing_is_drawn_while_nothing_happens() {
    let mut s = live();
    let id = last_id(&s);
    s.updates(streaming(id, 8, 5));
    s.updates([Update::Done { id, tokens_per_second: Some(900.0) }]);
    s.draw();
    assert!(!s.face.dirty() && !s.face.moves());
    s.pass(5000);
    assert!(!s.face.dirty(), "time alone changes nothing");
    s.keys("j");
    s.act(Action::Resize(80, 24));
    assert!(s.face.dirty());
}

#[test]
fn text_in_pieces_gives_the_screen_of_the_whole() {
    let shown = |size: usize| {
        let mut s = live();
        let id = last_id(&s);
        s.pass(1000);
        s.updates(streaming(id, 8, size));
        s.updates([Update::Done { id, tokens_per_second: Some(900.0) }]);
        s.keys("]e t");
        s.draw().clone()
    };
    let whole = shown(10_000);
    for size in [1, 2, 7] {
        assert_eq!(shown(size), whole, "in pieces of {size} tokens");
    }
    let mut seen = live();
    let id = last_id(&seen);
    seen.pass(1000);
    for u in streaming(id, 8, 1) {
        seen.updates([u]);
        seen.draw();
    }
    seen.updates([Update::Done { id, tokens_per_second: Some(900.0) }]);
    seen.keys("]e t");
    assert_eq!(seen.draw().clone(), whole, "drawn after every token");
}

#[test]
fn a_resize_keeps_the_selected_step_in_view() {
    let mut s = Screen::open(Setup::default());
    s.keys("2gg <ret> G");
    for (w, h) in [(60, 15), (200, 60), (30, 8), (80, 24)] {
        s.resize(w, h);
        assert!(s.text().contains("#### 4"), "{w}x{h}:\n{}", s.text());
    }
}
