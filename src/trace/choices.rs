//! One way to write a multiple-choice problem.

/// The question, and a line `A. …` for each option: letter and text.
pub fn with_options<'a>(question: &str, options: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = question.trim().to_owned();
    for (letter, option) in options {
        text.push_str(&format!("\n{letter}. {}", option.trim()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_a_line() {
        assert_eq!(with_options(" Which? ", [("A", " x"), ("B", "y")]), "Which?\nA. x\nB. y");
        assert_eq!(with_options("Which?", []), "Which?");
    }
}
