package admin

// Word is a four-letter word: what an operator sends as the first four bytes of a connection
// instead of the length of a frame.
type Word string

// The words. TelnetClose is what a telnet client sends on its way out; it has no answer.
const (
	Conf        Word = "conf"
	Cons        Word = "cons"
	Crst        Word = "crst"
	Dirs        Word = "dirs"
	Dump        Word = "dump"
	Envi        Word = "envi"
	Gtmk        Word = "gtmk"
	Hash        Word = "hash"
	Isro        Word = "isro"
	Mntr        Word = "mntr"
	Ruok        Word = "ruok"
	Srst        Word = "srst"
	Srvr        Word = "srvr"
	Stat        Word = "stat"
	Stmk        Word = "stmk"
	Wchc        Word = "wchc"
	Wchp        Word = "wchp"
	Wchs        Word = "wchs"
	TelnetClose Word = "\xff\xf4\xff\xfd"
)

// wordRule says how a word is answered.
type wordRule struct {
	always bool // answered even while the server does not serve
	write  func(*answer)
}

var wordRules = map[Word]wordRule{
	Conf:        {write: (*answer).conf},
	Cons:        {write: (*answer).cons},
	Crst:        {write: (*answer).crst},
	Dirs:        {write: (*answer).dirs},
	Dump:        {write: (*answer).dump},
	Envi:        {write: (*answer).envi, always: true},
	Gtmk:        {write: (*answer).gtmk, always: true},
	Hash:        {write: (*answer).hash},
	Isro:        {write: (*answer).isro, always: true},
	Mntr:        {write: (*answer).mntr},
	Ruok:        {write: (*answer).ruok, always: true},
	Srst:        {write: (*answer).srst},
	Srvr:        {write: (*answer).srvr},
	Stat:        {write: (*answer).stat},
	Stmk:        {write: (*answer).stmk, always: true},
	Wchc:        {write: (*answer).wchc},
	Wchp:        {write: (*answer).wchp},
	Wchs:        {write: (*answer).wchs},
	TelnetClose: {write: func(*answer) {}, always: true},
}

// Known tells whether the first four bytes of a connection are a word. None of the words is a
// sound length of a frame, since each would be above 1.6 GB.
func Known(first [4]byte) (Word, bool) {
	return ParseWord(string(first[:]))
}

// ParseWord finds a word by its name.
func ParseWord(name string) (Word, bool) {
	_, ok := wordRules[Word(name)]
	return Word(name), ok
}

// ArgumentBytes is the number of bytes behind the word that belong to it: stmk is followed by a
// trace mask of eight bytes, big-endian. Anything more, such as the newline of a shell's echo, is
// of no meaning.
func (w Word) ArgumentBytes() int {
	if w == Stmk {
		return 8
	}
	return 0
}
