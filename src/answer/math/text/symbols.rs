//! What commands and characters of mathematics stand for.

use super::super::formula::tree::Call;
use super::token::{Op, Token};

/// Commands that only lay out what follows.
pub(in crate::answer::math) const LAYOUT: [&str; 45] = [
    "left",
    "right",
    "big",
    "Big",
    "bigg",
    "Bigg",
    "bigl",
    "bigr",
    "Bigl",
    "Bigr",
    "biggl",
    "biggr",
    "Biggl",
    "Biggr",
    "middle",
    "displaystyle",
    "textstyle",
    "scriptstyle",
    "limits",
    "nolimits",
    "quad",
    "qquad",
    "thinspace",
    "medspace",
    "thickspace",
    "enspace",
    "strut",
    "mathstrut",
    "rm",
    "bf",
    "it",
    "large",
    "Large",
    "small",
    "boxed",
    "fbox",
    "ensuremath",
    "mathopen",
    "mathclose",
    "mathbin",
    "nonumber",
    "null",
    "vphantom",
    "protect",
    "normalsize",
];

/// Commands whose argument is words.
pub(in crate::answer::math) const TEXTS: [&str; 15] = [
    "text",
    "textbf",
    "textit",
    "textrm",
    "textnormal",
    "textup",
    "textsc",
    "textsf",
    "texttt",
    "mbox",
    "hbox",
    "mathrm",
    "operatorname",
    "mathord",
    "emph",
];

/// Commands whose argument is in another font.
pub(in crate::answer::math) const FONTS: [&str; 11] =
    ["mathbf", "boldsymbol", "mathit", "mathsf", "mathtt", "mathcal", "mathscr", "bm", "underline", "mathop", "pmb"];

/// Commands over a letter or two that make another name of it.
pub(in crate::answer::math) const ACCENTS: [&str; 12] =
    ["overline", "overrightarrow", "vec", "hat", "widehat", "bar", "tilde", "dot", "ddot", "overset", "underset", "widetilde"];

/// The function of this name.
pub(in crate::answer::math) fn function(name: &str) -> Option<Call> {
    Some(match name {
        "sin" => Call::Sin,
        "cos" => Call::Cos,
        "tan" | "tg" => Call::Tan,
        "cot" | "ctg" | "cotan" => Call::Cot,
        "sec" => Call::Sec,
        "csc" | "cosec" => Call::Csc,
        "arcsin" | "asin" => Call::Arcsin,
        "arccos" | "acos" => Call::Arccos,
        "arctan" | "atan" | "arctg" => Call::Arctan,
        "arccot" | "acot" => Call::Arccot,
        "sinh" => Call::Sinh,
        "cosh" => Call::Cosh,
        "tanh" => Call::Tanh,
        "exp" => Call::Exp,
        "ln" => Call::Ln,
        "log" | "lg" => Call::Log,
        "gcd" => Call::Gcd,
        "lcm" => Call::Lcm,
        "max" => Call::Max,
        "min" => Call::Min,
        "abs" => Call::Absolute,
        "floor" => Call::Floor,
        "ceil" => Call::Ceiling,
        _ => return None,
    })
}

/// The inverse of a function, as `^{-1}` behind its name means it.
pub(in crate::answer::math) fn inverse(call: Call) -> Option<Call> {
    Some(match call {
        Call::Sin => Call::Arcsin,
        Call::Cos => Call::Arccos,
        Call::Tan => Call::Arctan,
        Call::Cot => Call::Arccot,
        _ => return None,
    })
}

const GREEK: [&str; 35] = [
    "alpha",
    "beta",
    "gamma",
    "delta",
    "epsilon",
    "varepsilon",
    "zeta",
    "eta",
    "theta",
    "vartheta",
    "iota",
    "kappa",
    "lambda",
    "mu",
    "nu",
    "xi",
    "rho",
    "varrho",
    "sigma",
    "tau",
    "upsilon",
    "phi",
    "varphi",
    "chi",
    "psi",
    "omega",
    "Gamma",
    "Delta",
    "Theta",
    "Lambda",
    "Xi",
    "Pi",
    "Phi",
    "Psi",
    "Omega",
];

/// The token of a command that has no argument.
pub(in crate::answer::math) fn command(name: &str) -> Option<Token> {
    use Op::*;
    Some(match name {
        "pi" => Token::Pi,
        "infty" | "infinity" => Token::Infinity,
        "cdot" | "times" | "ast" | "star" | "bullet" => Token::Op(Times),
        "div" => Token::Op(Over),
        "pm" => Token::Op(PlusMinus),
        "mp" => Token::Op(MinusPlus),
        "le" | "leq" | "leqslant" | "leqq" => Token::Op(LessEqual),
        "ge" | "geq" | "geqslant" | "geqq" => Token::Op(GreaterEqual),
        "lt" => Token::Op(Less),
        "gt" => Token::Op(Greater),
        "ne" | "neq" => Token::Op(NotEqual),
        "approx" | "sim" | "simeq" | "doteq" | "thickapprox" => Token::Op(Approx),
        "in" => Token::Op(In),
        "cup" | "bigcup" => Token::Op(Union),
        "cap" | "bigcap" => Token::Op(Intersection),
        "setminus" | "smallsetminus" | "backslash" => Token::Op(Without),
        "equiv" => Token::Op(Equal),
        "pmod" | "mod" | "bmod" | "pod" => Token::Word("mod".into()),
        "Vert" | "lVert" | "rVert" | "mid" | "vert" | "lvert" | "rvert" => Token::Bar,
        "colon" => Token::Op(Colon),
        "emptyset" | "varnothing" | "empty" => Token::Empty,
        "lbrace" | "{" => Token::Open('{'),
        "rbrace" | "}" => Token::Close('}'),
        "lbrack" => Token::Open('['),
        "rbrack" => Token::Close(']'),
        "langle" => Token::Open('<'),
        "rangle" => Token::Close('>'),
        "lfloor" => Token::Open('⌊'),
        "rfloor" => Token::Close('⌋'),
        "lceil" => Token::Open('⌈'),
        "rceil" => Token::Close('⌉'),
        "frac" | "dfrac" | "tfrac" | "cfrac" | "nicefrac" | "sfrac" => Token::Frac,
        "binom" | "dbinom" | "tbinom" => Token::Binom,
        "choose" => Token::Choose,
        "sqrt" => Token::Sqrt,
        "circ" | "degree" | "degrees" | "textdegree" => Token::Degree,
        "%" => Token::Percent,
        "$" | "textdollar" | "dollar" => Token::Currency('$'),
        "pounds" | "textsterling" => Token::Currency('£'),
        "euro" | "texteuro" => Token::Currency('€'),
        "land" | "wedge" => Token::And,
        "lor" | "vee" => Token::Or,
        "ldots" | "dots" | "cdots" | "dotsc" => Token::Dots,
        "prime" => Token::Prime,
        "imath" => Token::Letter("i".into()),
        "angle" | "measuredangle" | "triangle" | "odot" | "parallel" | "perp" => Token::Mark(name.into()),
        "int" | "sum" | "prod" | "lim" | "iint" | "oint" | "limsup" | "liminf" | "sup" | "inf" | "det" | "deg" | "dim" | "Pr" => {
            Token::Opaque(name.into())
        }
        _ if GREEK.contains(&name) => Token::Letter(name.into()),
        _ => return function(name).map(Token::Function),
    })
}

/// How a character is written in ASCII or LaTeX; `None` for one that stands for itself.
pub(in crate::answer::math) fn character(c: char) -> Option<&'static str> {
    Some(match c {
        '−' | '–' | '—' | '‐' | '‑' | '‒' | '﹣' | '－' => "-",
        '＋' => "+",
        '×' | '⋅' | '·' | '∙' | '∗' | '✕' | '⨯' => "*",
        '÷' | '⁄' | '∕' | '／' => "/",
        '≤' | '⩽' | '≦' => "\\le ",
        '≥' | '⩾' | '≧' => "\\ge ",
        '≠' => "\\ne ",
        '≈' | '≃' | '≅' => "\\approx ",
        '＜' => "<",
        '＞' => ">",
        '＝' => "=",
        '∞' => "\\infty ",
        '∪' => "\\cup ",
        '∩' => "\\cap ",
        '∖' => "\\setminus ",
        '∈' => "\\in ",
        '∅' | '⌀' | 'Ø' => "\\emptyset ",
        'ℝ' => "\\mathbb{R}",
        'ℤ' => "\\mathbb{Z}",
        'ℚ' => "\\mathbb{Q}",
        'ℕ' => "\\mathbb{N}",
        'ℂ' => "\\mathbb{C}",
        '°' | 'º' | '˚' => "\\circ ",
        '±' => "\\pm ",
        '∓' => "\\mp ",
        '√' => "\\sqrt ",
        '∛' => "\\sqrt[3] ",
        '∜' => "\\sqrt[4] ",
        '∧' => "\\land ",
        '∨' => "\\lor ",
        '⟨' | '〈' => "\\langle ",
        '⟩' | '〉' => "\\rangle ",
        '⌊' => "\\lfloor ",
        '⌋' => "\\rfloor ",
        '⌈' => "\\lceil ",
        '⌉' => "\\rceil ",
        '∣' | '｜' | '∥' => "|",
        '′' | '’' | '‘' => "'",
        '″' => "''",
        '…' | '⋯' => "\\dots ",
        '（' => "(",
        '）' => ")",
        '［' => "[",
        '］' => "]",
        '｛' => "{",
        '｝' => "}",
        '，' | '、' => ",",
        '；' => ";",
        '：' | '∶' => ":",
        '。' | '．' => ".",
        '％' => "%",
        '＄' => "$",
        '\u{a0}' | '\u{2009}' | '\u{202f}' | '\u{2007}' | '\u{2008}' | '\u{200a}' => "\\,",
        '\u{200b}' | '\u{200c}' | '\u{200d}' | '\u{2060}' | '\u{feff}' | '\u{2061}' | '\u{2062}' | '\u{2063}' => "",
        '½' => "\\frac{1}{2}",
        '⅓' => "\\frac{1}{3}",
        '⅔' => "\\frac{2}{3}",
        '¼' => "\\frac{1}{4}",
        '¾' => "\\frac{3}{4}",
        '⅕' => "\\frac{1}{5}",
        '⅖' => "\\frac{2}{5}",
        '⅗' => "\\frac{3}{5}",
        '⅘' => "\\frac{4}{5}",
        '⅙' => "\\frac{1}{6}",
        '⅚' => "\\frac{5}{6}",
        '⅐' => "\\frac{1}{7}",
        '⅛' => "\\frac{1}{8}",
        '⅜' => "\\frac{3}{8}",
        '⅝' => "\\frac{5}{8}",
        '⅞' => "\\frac{7}{8}",
        '⅑' => "\\frac{1}{9}",
        '⅒' => "\\frac{1}{10}",
        'π' | '𝜋' | '𝝅' => "\\pi ",
        'α' => "\\alpha ",
        'β' => "\\beta ",
        'γ' => "\\gamma ",
        'δ' => "\\delta ",
        'ε' | 'ϵ' => "\\epsilon ",
        'ζ' => "\\zeta ",
        'η' => "\\eta ",
        'θ' => "\\theta ",
        'ι' => "\\iota ",
        'κ' => "\\kappa ",
        'λ' => "\\lambda ",
        'μ' | 'µ' => "\\mu ",
        'ν' => "\\nu ",
        'ξ' => "\\xi ",
        'ρ' => "\\rho ",
        'σ' => "\\sigma ",
        'τ' => "\\tau ",
        'φ' | 'ϕ' => "\\phi ",
        'χ' => "\\chi ",
        'ψ' => "\\psi ",
        'ω' => "\\omega ",
        'Δ' | '△' => "\\Delta ",
        'Ω' => "\\Omega ",
        'Σ' => "\\Sigma ",
        '∠' => "\\angle ",
        _ => return None,
    })
}

/// The character that a small raised one shows.
pub(in crate::answer::math) fn raised(c: char) -> Option<char> {
    let digits = "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿˣ⁽⁾";
    digits.chars().position(|d| d == c).and_then(|i| "0123456789-+nx()".chars().nth(i))
}

/// The character that a small lowered one shows.
pub(in crate::answer::math) fn lowered(c: char) -> Option<char> {
    "₀₁₂₃₄₅₆₇₈₉₋₊ₙ".chars().position(|d| d == c).and_then(|i| "0123456789-+n".chars().nth(i))
}

/// The ASCII letter or digit that a full-width or mathematical one shows.
pub(in crate::answer::math) fn ascii(c: char) -> Option<char> {
    let code = c as u32;
    let at = |from: u32, base: u8| char::from_u32(u32::from(base) + code - from);
    match code {
        0xff10..=0xff19 => at(0xff10, b'0'),
        0xff21..=0xff3a => at(0xff21, b'A'),
        0xff41..=0xff5a => at(0xff41, b'a'),
        0x1d400..=0x1d6a3 => {
            let n = (code - 0x1d400) % 52;
            char::from_u32(if n < 26 { u32::from(b'A') + n } else { u32::from(b'a') + n - 26 })
        }
        0x1d7ce..=0x1d7ff => char::from_u32(u32::from(b'0') + (code - 0x1d7ce) % 10),
        // Arabic and Indian digits
        0x660..=0x669 => at(0x660, b'0'),
        0x6f0..=0x6f9 => at(0x6f0, b'0'),
        0x966..=0x96f => at(0x966, b'0'),
        0x9e6..=0x9ef => at(0x9e6, b'0'),
        0x210e => Some('h'),
        _ => None,
    }
}
