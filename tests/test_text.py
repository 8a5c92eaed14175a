"""Analysis and chunking."""

import copy
import pickle
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragedu import BM25Retriever, Corpus, Document, TfidfRetriever
from ragedu.retrieval.sqlite import SqliteRetriever
from ragedu.text import ENGLISH_STOP_WORDS, Analyzer, chunk, normalise, passages, sentences

PLAIN = Analyzer(stop_words=(), stemmer=None)


@pytest.mark.parametrize(
    "text, terms",
    [
        ("The harbours of Port Ellery, 1887", ["harbour", "port", "elleri", "1887"]),
        ("train_test_split()", ["train", "test", "split"]),
        ("Permit PE-1407/b", ["permit", "pe", "1407", "b"]),
        ("don't; can’t", []),  # "don", "t", "can", "t": all stop words
        ("running runs RUN ran", ["run", "run", "run", "ran"]),
        ("naïve Café straße", ["naïv", "café", "straße"]),
        ("x² + 3.14", ["x2", "3", "14"]),
        ("안녕하세요", ["안녕", "녕하", "하세", "세요"]),
        ("서울은 물", ["서울", "울은", "물"]),  # a single syllable stays
        ("RAG는", ["rag", "는"]),
        ("2024년", ["2024", "년"]),
        ("한국어RAG시스템", ["한국", "국어", "rag", "시스", "스템"]),
        ("ㅋㅋㅋ", ["ㅋㅋㅋ"]),  # letters that are no syllables are a word like any other
        ("漢字 かな", ["漢字", "かな"]),
        ("हिन्दी में किताब", ["हिन्दी", "में", "किताब"]),  # vowels that are marks
        ("क्\u200dष कि", ["क्ष", "कि"]),  # the joiner only chooses a form
        ("Spın̈al कि", ["spın̈al", "कि"]),
        ("İstanbul istanbul", ["istanbul", "istanbul"]),
        ("1️⃣ می‌خواهم", ["1", "میخواهم"]),  # a sign's shape is no letter, and nobody sees a joiner
        ("北京烤鸭", ["北京", "京烤", "烤鸭"]),
        ("東京の人口", ["東京", "京の", "の人", "人口"]),
        ("RAGシステム", ["rag", "シス", "ステ", "テム"]),
        ("น้ำทะเล", ["น้\u0e4dา", "าท", "ทะ", "ะเ", "เล"]),  # letters with their signs, in pairs
        ("ភ្នំពេញ", ["ភ្នំ", "នំពេ", "ពេញ"]),
        ("ມື້", ["ມື້"]),
        ("𑄌𑄋𑄴𑄟𑄳𑄦", ["𑄌𑄋𑄴𑄟𑄳𑄦"]),  # Chakma: marks beyond U+FFFF
        ("Anglo-\nSaxon 1407-\n12 ware-\nhouse", ["anglo", "saxon", "1407", "12", "warehous"]),
        ("Windows™ ½", ["window", "1", "2"]),
        ("", []),
        (" \n\t", []),
        ("!?… ___ —", []),
        ("the and of", []),
    ],
)
def test_terms(text, terms):
    assert Analyzer()(text) == terms


# (a text, a query that must find it)
FOUND = [
    ("我喜欢北京烤鸭", "北京烤鸭"),
    ("東京の人口は多い", "東京"),
    ("𠮷野家で食べた", "𠮷野"),
    ("葛\U000e0100飾区に住む", "葛飾"),
    ("スーパーコンピューター", "コンピューター"),
    ("ｶﾞｲﾄﾞﾌﾞｯｸを読む", "ガイド"),
    ("ที่นี่น้ำทะเลใส", "น้ำทะเล"),
    ("ຂ້ອຍກິນເຂົ້າ", "ເຂົ້າ"),
    ("ខ្ញុំរស់នៅភ្នំពេញ", "ភ្នំពេញ"),
    ("ကျွန်တော်မြန်မာနိုင်ငံ", "မြန်မာ"),
    ("ꦲꦏ꧀ꦱꦫꦗꦮ", "ꦗꦮ"),
    ("the ﬁnancial report", "financial"),
    ("the fi\u00adnancial report", "financial"),
    ("a ware\u200bhouse", "warehouse"),
    ("a ware\u2060house", "warehouse"),
    ("a ware\ufeffhouse", "warehouse"),
    ("a ware-\nhouse", "warehouse"),
    ("a ware-\r\n    house", "warehouse"),
    ("a ware\u2010\nhouse", "warehouse"),
    ("a ware\u00ad\nhouse", "warehouse"),
    ("the nai\u0308ve-\nte\u0301 of it", "naïveté"),
    ("ＡＢＣ１２３", "abc123"),
    ("the Windows™ licence", "windows"),
    ("كَتَبَ الوَلَدُ الدَّرْسَ", "كتب"),
    ("كتـــاب جديد", "كتاب"),
    ("\ufb7b\ufe77 عربي", "\u0686"),
    ("שָׁלוֹם לכולם", "שלום"),
    ("\ufb2aמש", "שמש"),
    ("سال ۱۳۹۹ خورشیدی", "1399"),
    ("سنة ١٨٨١ ميلادية", "1881"),
    ("ปี ๒๕๐๐", "2500"),
]


@pytest.mark.parametrize("retriever", [BM25Retriever, TfidfRetriever, SqliteRetriever])
def test_every_script_and_spelling_is_found(retriever):
    fitted = retriever().fit(Corpus.from_texts([text for text, _ in FOUND]))
    found = {query: [hit.document.text for hit in fitted.search(query, len(FOUND))] for _, query in FOUND}
    assert [(text, query) for text, query in FOUND if text not in found[query]] == []


def test_settings_change_what_they_say():
    text = "The ferries of the harbour"
    assert PLAIN(text) == ["the", "ferries", "of", "the", "harbour"]
    assert Analyzer(stop_words=(), stemmer="english")(text) == ["the", "ferri", "of", "the", "harbour"]
    assert Analyzer(stemmer=None)(text) == ["ferries", "harbour"]
    assert Analyzer(stop_words=["harbour"], stemmer=None)(text) == ["the", "ferries", "of", "the"]
    assert Analyzer(stop_words=["die"], stemmer="german")("Die Häuser") == ["haus"]
    assert Analyzer(stop_words=["The", "don't"], stemmer=None)("The boats don't") == ["boats"]
    assert Analyzer(stop_words=["서울은"])("서울은 크다") == ["크다"]  # stop words are words, not syllable pairs


def test_settings_make_the_same_analyzer_again():
    for analyzer in [Analyzer(), PLAIN, Analyzer(stop_words=["zu", "ab"], stemmer="german")]:
        again = Analyzer(**analyzer.settings())
        assert again.settings() == analyzer.settings()
        assert again("Ab und zu the harbours") == analyzer("Ab und zu the harbours")


@pytest.mark.parametrize(
    "analyzer, shown",
    [
        (Analyzer(), "Analyzer()"),
        (PLAIN, "Analyzer(stop_words=(), stemmer=None)"),
        (Analyzer(stop_words=["zu", "AB"], stemmer="german"), "Analyzer(stop_words=('ab', 'zu'), stemmer='german')"),
        (Analyzer(stemmer="porter"), "Analyzer(stemmer='porter')"),
    ],
)
def test_the_repr_makes_an_equal_analyzer(analyzer, shown):
    again = eval(repr(analyzer))
    assert repr(analyzer) == shown and again == analyzer and hash(again) == hash(analyzer)
    assert pickle.loads(pickle.dumps(analyzer)) == analyzer == copy.deepcopy(analyzer)
    assert analyzer != Analyzer(stop_words=["other"]) and analyzer != shown


def test_bad_settings():
    with pytest.raises(ValueError, match="no stemmer for 'klingon'; there are: .*english"):
        Analyzer(stemmer="klingon")
    with pytest.raises(TypeError, match=r"not one string: use stop_words=\[...\]"):
        Analyzer(stop_words="the")


def test_stop_words_can_be_met():
    # A stop word that the analyzer would never produce as a word would be a mistake in the list.
    assert all(PLAIN.words(word) == [word] for word in ENGLISH_STOP_WORDS)


TEXT = st.text(st.one_of(st.characters(codec="utf-8"), st.sampled_from("aB1_가한글é. ")), max_size=40)


@given(TEXT)
def test_decomposed_text_has_the_same_terms(text):
    analyzer = Analyzer()
    assert analyzer(unicodedata.normalize("NFD", text)) == analyzer(unicodedata.normalize("NFC", text))


@given(TEXT, TEXT)
def test_a_mark_elsewhere_in_the_text_changes_nothing(text, other):
    assert PLAIN.words(f"{text} कि {other}") == [*PLAIN.words(text), "कि", *PLAIN.words(other)]


@given(TEXT)
def test_every_letter_and_digit_stays(text):
    kept = lambda string: [character for character in string if character.isalnum()]
    assert kept("".join(PLAIN.words(text))) == kept(normalise(text))


@given(st.text(st.characters(min_codepoint=ord("가"), max_codepoint=ord("힣")), min_size=2, max_size=12))
def test_hangul_words_are_their_pairs(word):
    terms = PLAIN(word)
    assert len(terms) == len(word) - 1 and all(len(term) == 2 for term in terms)
    assert all(left[1] == right[0] for left, right in pairwise(terms))
    assert terms[0][0] + "".join(term[1] for term in terms) == word


# Sentences and passages.


@pytest.mark.parametrize(
    "text, expected",
    [
        ("One. Two! Three? Four… Five", ["One.", "Two!", "Three?", "Four…", "Five"]),
        ('She said "Go." Then (he left.) And so.', ['She said "Go."', "Then (he left.)", "And so."]),
        ("A title\n\nA text. More", ["A title", "A text.", "More"]),
        ("one line\nsame sentence.", ["one line\nsame sentence."]),
        ("Version 3.11 costs 1.50 today. Yes.", ["Version 3.11 costs 1.50 today.", "Yes."]),
        ("첫 문장이다. 둘째 문장입니다! 끝", ["첫 문장이다.", "둘째 문장입니다!", "끝"]),
        (
            "「行こう。」と言った。港口的灯塔。真的吗？！ 真",
            ["「行こう。」", "と言った。", "港口的灯塔。", "真的吗？！", "真"],
        ),
        ("  \n\n ", []),
        ("", []),
    ],
)
def test_sentences(text, expected):
    assert sentences(text) == expected


PROSE = st.lists(
    st.sampled_from(["word", "Mr.", "harbour", "end.", 'quote."', "really?)", "가나다", "a", "\n\n", "\n"]), max_size=80
).map(" ".join)


@given(PROSE)
def test_sentences_lose_nothing(text):
    assert " ".join(sentences(text)).split() == text.split()


@given(st.lists(st.sampled_from(["", ".", "!", '."', "\n\n"]), max_size=60), st.integers(1, 12), st.data())
def test_passages(ends, words, data):
    overlap = data.draw(st.integers(0, words - 1))
    text = " ".join(f"w{number}{end}" for number, end in enumerate(ends))  # no word twice: each has one place
    source = text.split()
    begins = {source.index(sentence.split()[0]) for sentence in sentences(text)}
    told = 0
    for passage in (passage.split() for passage in passages(text, words=words, overlap=overlap)):
        start = source.index(passage[0])
        assert passage == source[start : start + len(passage)] and len(passage) <= words
        assert told - overlap <= start <= told < start + len(passage)  # nothing left out, something new
        assert start in begins or start == told  # what is shared are whole sentences
        told = start + len(passage)
    assert told == len(source)


def test_passages_share_whole_sentences():
    text = "One two three. Four five. Six seven eight. Nine."
    assert list(passages(text, words=6, overlap=2)) == [
        "One two three. Four five.",
        "Four five. Six seven eight. Nine.",
    ]
    assert list(passages(text, words=6, overlap=0)) == ["One two three. Four five.", "Six seven eight. Nine."]
    # "Six seven eight." is longer than an overlap of 2 and is not torn apart for it.
    assert list(passages(text, words=5, overlap=2)) == [
        "One two three. Four five.",
        "Four five. Six seven eight.",
        "Nine.",
    ]
    assert list(passages("a b c d e f g", words=3, overlap=0)) == ["a b c", "d e f", "g"]
    assert list(passages("", words=5, overlap=0)) == []


def test_passages_where_no_white_space_stands_between_words():
    text = "港口的灯塔由守灯人看守。真的吗？" * 40
    cut = list(passages(text, words=30, overlap=0))
    assert "".join(cut) == text and all(len(passage) <= 30 and passage[-1] in "。？" for passage in cut)
    assert [len(passage) for passage in passages("港" * 70, words=30, overlap=0)] == [30, 30, 10]
    assert list(passages("ที่นี่ดี", words=1, overlap=0)) == ["ที่", "นี่", "ดี"]  # no letter without its marks
    assert len(chunk(Corpus.from_texts([text]), words=30)) > 20


@pytest.mark.parametrize("words, overlap", [(0, 0), (-1, 0), (5, 5), (5, -1), (20, 30)])
def test_bad_sizes_of_passages(words, overlap):
    with pytest.raises(ValueError, match=f"overlap smaller than words, not {words} and {overlap}"):
        list(passages("a b c", words=words, overlap=overlap))
    with pytest.raises(ValueError, match=f"overlap smaller than words, not {words} and {overlap}"):
        chunk(Corpus([]), words=words, overlap=overlap)  # before there is anything to cut


PYTHON = "def lit(lamps):\n    for lamp in lamps:\n        yield lamp.name\n\n\ndef dark():\n    return None"
TABLE = "| name | since |\n|------|-------|\n| Ada Quill | 1881 |\n| Tomas Brandt | 1887 |"


@pytest.mark.parametrize(
    "text",
    [
        PYTHON,
        f"```python\n{PYTHON}\nx\n```",
        f"~~~\n\n{PYTHON}\n~~~~",
        "import os\nfrom pathlib import Path\nx = 1\nprint(x)",
        "function lit() {\nreturn a;\n}",
        ">>> lit(1)\n[1]\n>>> dark()",
        "$ ragedu ask\n$ ragedu search",
        TABLE,
        "name | since\n-----|------\nAda | 1881",
        "name\tsince\nAda\t1881",
        "name      since\nAda       1881",
        "name,since,place\nAda,1881,\nTomas,1887,tower",
        "- salt\n- herring\n  * smoked\n  * fresh",
        "1. Light the lamp.\n2. Wait.\n10) Sleep.",
        "> quoted\n> on",
    ],
)
def test_line_ends_that_carry_meaning_stay(text):
    assert list(passages(text)) == [text]
    lines = [line for passage in passages(text, words=8, overlap=0) for line in passage.split("\n")]
    assert list(filter(None, lines)) == list(filter(None, text.split("\n")))
    before, after = "The harbour was\nbuilt in 1881. Then", "It is known\nto all."
    (passage,) = passages(f"{before}\n\n{text}\n\n{after}")
    assert passage == f"The harbour was built in 1881. Then\n\n{text}\n\nIt is known to all."


@pytest.mark.parametrize(
    "text",
    [
        "The harbour (built in 1881)\nhas a wall; of granite;\nforty feet thick,\n\nold:\nvery - so they say -\nold.",
        "Paid 1,000\nin 1887. For if\nwhile it\nFrom the quay\nimport duties of wool\n1881. And",
        "LDL  cholesterol.  Two\nblanks: METHODS    Four blanks.  In two sentences.",
    ],
)
def test_line_ends_of_prose_become_blanks(text):
    assert list(passages(text)) == [" ".join(text.split())]


def test_a_broken_word_can_still_be_joined_in_a_passage():
    (passage,) = passages("Down at the ware-\nhouse they\nwork.")
    assert passage == "Down at the ware-\nhouse they work."
    assert Analyzer()(passage) == ["warehous", "work"]


def test_passages_of_a_table_share_no_more_of_their_tokens_than_of_their_words():
    rows = [f"|{'-----+' * 8}|\n| {number} |" for number in range(60)]  # of few words and many tokens
    made = chunk(Corpus([Document("table", "\n".join(rows))]))
    told = sum(len(passage.text) for passage in made)
    assert len(made) > 5 and told < 1.3 * len("\n".join(rows))


def test_chunk_numbers_the_passages_and_keeps_the_rest():
    long = Document("long", "One two three. Four five six. Seven eight nine.", "Title", metadata={"source": "x"})
    short = Document("short", "One.\n\nTwo, as it was.")
    made = chunk(Corpus([short, long]), words=6, overlap=3)
    assert made.ids == ["short", "long/1", "long/2"] and made[0] is short
    assert [d.text for d in made[1:]] == ["One two three. Four five six.", "Four five six. Seven eight nine."]
    assert all(d.title == "Title" and d.metadata == {"source": "x", "document": "long"} for d in made[1:])
    assert chunk(Corpus([]), words=5, overlap=0).ids == []


def test_the_ids_of_passages_give_way_to_those_of_documents():
    corpus = Corpus([Document("a", "One. Two."), *(Document(id, "One.") for id in ("a/1", "a/1'"))])
    assert chunk(corpus, words=1).ids == ["a/1''", "a/2", "a/1", "a/1'"]
