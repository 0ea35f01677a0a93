package broker

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jetfn/jetfn/actor"
)

// names are an application's streams, buckets and subjects. This file is the
// only one that spells them, as keys.go is for keys in buckets. Partitions are
// written as the server's partition function writes them: decimal, without
// leading zeros.
type names struct{ app string }

func checkApp(app string) error {
	if app == "" {
		return errors.New("the application's name is empty; use lower-case letters, digits, - and _")
	}
	for _, c := range []byte(app) {
		if ('a' > c || c > 'z') && ('0' > c || c > '9') && c != '-' && c != '_' {
			return fmt.Errorf("application name %q contains %q; use lower-case letters, digits, - and _", app, string(c))
		}
	}
	return nil
}

func (n names) mailboxStream() string { return strings.ToUpper(n.app) + "_MAILBOX" }
func (n names) ingressStream() string { return strings.ToUpper(n.app) + "_INGRESS" }
func (n names) journalStream() string { return strings.ToUpper(n.app) + "_JOURNAL" }
func (n names) egressStream() string  { return strings.ToUpper(n.app) + "_EGRESS" }
func (n names) dlqStream() string     { return strings.ToUpper(n.app) + "_DLQ" }

func (n names) metaBucket() string   { return n.app + "_meta" }
func (n names) timersBucket() string { return n.app + "_timers" }

func bucketStream(bucket string) string  { return "KV_" + bucket }
func bucketSubject(bucket string) string { return "$KV." + bucket + "." }

// internals are what clients of the embedded server may not publish to.
func (n names) internals() []string {
	return []string{n.app + ".mbox.>", n.app + ".journal.>", n.app + ".mark.>"}
}

// guarded are what users of the embedded server may not publish to besides:
// modules are changed by administrators only, over HTTP.
func (n names) guarded() []string {
	bucket := bucketSubject(n.metaBucket())
	return []string{bucket + modulePrefix + ">", bucket + readingsKey}
}

// probe is an internal subject to which no stream listens.
func (n names) probe() string { return n.app + ".mark.probe" }

// call is where core requests for functions come in.
func (n names) callAll() string  { return n.app + ".call.>" }
func (n names) callForm() string { return n.app + ".call.<namespace>.<type>.<id>" }
func (n names) call(a actor.Address) string {
	return n.app + ".call." + a.Key()
}

// callKey is what follows "<app>.call." in a subject.
func (n names) callKey(subject string) (string, bool) {
	return strings.CutPrefix(subject, n.app+".call.")
}

// reply is where a gateway hears the replies to its callers. No stream listens
// there, and outsiders may not publish there.
func (n names) reply(gateway string) string { return n.app + ".mark.reply." + gateway }

// Mailbox: outside messages come in as fn.<ns>.<type>.<id>, which the stream
// stores as mbox.<p>.ext.<ns>.<type>.<id>; those of other forms stay as they
// are. A gate binds fn in the stream's place, and stores what it gathers as
// mbox.<p>.pack. Our own sends are mbox.<to>.int.<from>.

func (n names) mailboxSubjects(gate bool) []string {
	if gate {
		return []string{n.app + ".mbox.>"}
	}
	return []string{n.app + ".fn.>", n.app + ".mbox.>"}
}

func (n names) mailboxTransform(partitions int) (source, destination string) {
	return n.app + ".fn.*.*.*",
		fmt.Sprintf("%s.mbox.{{partition(%d,3)}}.ext.{{wildcard(1)}}.{{wildcard(2)}}.{{wildcard(3)}}", n.app, partitions)
}

func (n names) fn(a actor.Address) string { return n.app + ".fn." + a.Key() }
func (n names) fnForm() string            { return n.app + ".fn.<namespace>.<type>.<id>" }
func (n names) fnOf(key string) string    { return n.app + ".fn." + key }
func (n names) fnAll() string             { return n.app + ".fn.>" }

func (n names) pack(p int) string { return n.app + ".mbox." + strconv.Itoa(p) + ".pack" }
func (n names) external(p int, key string) string {
	return n.app + ".mbox." + strconv.Itoa(p) + ".ext." + key
}

// keyOf is what follows "<app>.fn." in a subject.
func (n names) keyOf(subject string) (string, bool) { return strings.CutPrefix(subject, n.app+".fn.") }

// partitionOfKey is where the mailbox's transform puts a key, which need not
// be canonical. What is no address goes to partition 0.
func partitionOfKey(key string, partitions int) int {
	const offset, prime = 2166136261, 16777619
	if strings.Count(key, ".") != 2 {
		return 0
	}
	h := uint32(offset)
	for _, c := range []byte(key[strings.LastIndexByte(key, '.')+1:]) {
		h = (h ^ uint32(c)) * prime
	}
	return int(h % uint32(partitions))
}

// outsides select what the outside stored in the mailbox stream.
func (n names) outsides() []string {
	return []string{n.app + ".mbox.*.pack", n.app + ".mbox.*.ext.>", n.app + ".fn.>"}
}

// isInternal reports whether outsiders may not publish to subject.
func (n names) isInternal(subject string) bool {
	if !strings.HasPrefix(subject, n.app) { // the ordinary answer's
		return false
	}
	return slices.ContainsFunc(append(n.internals(), n.inboxAll()), func(s string) bool { return covers(s, subject) })
}

func (n names) internal(to, from int) string {
	return n.app + ".mbox." + strconv.Itoa(to) + ".int." + strconv.Itoa(from)
}

// mailboxFilters select what partition p finds in the mailbox stream.
func (n names) mailboxFilters(p int) []string {
	filters := []string{n.app + ".mbox." + strconv.Itoa(p) + ".>"}
	if p == 0 {
		filters = append(filters, n.app+".fn.>")
	}
	return filters
}

// mailboxSubject is a subject of the mailbox stream, taken apart.
type mailboxSubject struct {
	partition int
	internal  bool
	from      int    // if internal
	packed    bool   // several outside messages
	key       string // else: "<ns>.<type>.<id>"
}

func (n names) parseMailbox(subject string) (mailboxSubject, bool) {
	rest, ok := strings.CutPrefix(subject, n.app+".mbox.")
	if !ok {
		return mailboxSubject{}, false
	}
	digits, rest, ok := strings.Cut(rest, ".")
	p, fine := parsePartition(digits)
	if !ok || !fine {
		return mailboxSubject{}, false
	}
	if from, ok := strings.CutPrefix(rest, "int."); ok {
		f, fine := parsePartition(from)
		return mailboxSubject{partition: p, internal: true, from: f}, fine
	}
	if rest == "pack" {
		return mailboxSubject{partition: p, packed: true}, true
	}
	key, ok := strings.CutPrefix(rest, "ext.")
	return mailboxSubject{partition: p, key: key}, ok
}

// Ingress: records come in as ingress.<ns>.<name>.<key> and are stored as
// inbox.<p>.<ns>.<name>.<key>; those of other forms stay as they are. A relay
// binds ingress in the stream's place and hands records on to inbox.<p>, those
// of other forms to inbox.0.

func (n names) ingressSubjects(relayed bool) []string {
	if relayed {
		return []string{n.inboxAll()}
	}
	return []string{n.ingressAll()}
}

func (n names) ingressAll() string { return n.app + ".ingress.>" }
func (n names) inboxAll() string   { return n.app + ".inbox.>" }

// relayed is where a relay hands on what came in on subject.
func (n names) relayed(subject string, partitions int) string {
	key := strings.TrimPrefix(subject, n.app+".ingress.")
	return n.app + ".inbox." + strconv.Itoa(partitionOfKey(key, partitions)) + "." + key
}

// came is where a stored ingress record came in.
func (n names) came(stored string) string {
	if rest, ok := strings.CutPrefix(stored, n.app+".inbox."); ok {
		_, key, _ := strings.Cut(rest, ".")
		return n.app + ".ingress." + key
	}
	return stored
}

func (n names) ingressTransform(partitions int) (source, destination string) {
	return n.app + ".ingress.*.*.*",
		fmt.Sprintf("%s.inbox.{{partition(%d,3)}}.{{wildcard(1)}}.{{wildcard(2)}}.{{wildcard(3)}}", n.app, partitions)
}

func (n names) ingress(ns, name, key string) string {
	return n.app + ".ingress." + actor.Escape(ns) + "." + actor.Escape(name) + "." + actor.Escape(key)
}
func (n names) ingressForm() string { return n.app + ".ingress.<namespace>.<name>.<key>" }

func (n names) ingressFilters(p int) []string {
	filters := []string{n.app + ".inbox." + strconv.Itoa(p) + ".>"}
	if p == 0 {
		filters = append(filters, n.ingressAll())
	}
	return filters
}

// parseInbox takes a stored ingress subject apart: its partition and its
// three escaped tokens.
func (n names) parseInbox(subject string) (partition int, tokens []string, ok bool) {
	rest, ok := strings.CutPrefix(subject, n.app+".inbox.")
	if !ok {
		return 0, nil, false
	}
	parts := strings.Split(rest, ".")
	if len(parts) != 4 {
		return 0, nil, false
	}
	p, fine := parsePartition(parts[0])
	return p, parts[1:], fine
}

func parsePartition(digits string) (int, bool) {
	p, err := strconv.Atoi(digits)
	return p, err == nil && p >= 0 && strconv.Itoa(p) == digits
}

func (n names) journal(p int) string      { return n.app + ".journal." + strconv.Itoa(p) }
func (n names) journalSubjects() []string { return []string{n.app + ".journal.*"} }
func (n names) egressMark(p int) string   { return n.app + ".mark.egress." + strconv.Itoa(p) }
func (n names) dlqMark(p int) string      { return n.app + ".mark.dlq." + strconv.Itoa(p) }
func (n names) dlqSubjects() []string     { return []string{n.app + ".dlq.>", n.app + ".mark.dlq.*"} }

func (n names) dlq(target actor.Address) string {
	return n.app + ".dlq." + token(target.Type.Namespace) + "." + token(target.Type.Name) + "." + token(target.ID)
}

// dlqOf selects the dead letters of a function; zero: of all.
func (n names) dlqOf(function actor.TypeName) string {
	if function.IsZero() {
		return n.app + ".dlq.>"
	}
	return n.app + ".dlq." + token(function.Namespace) + "." + token(function.Name) + ".*"
}

// egress is the subject of an egress message; prefixes are Config's.
func (n names) egress(id actor.TypeName, key string, prefixes map[actor.TypeName]string) string {
	return withKey(n.egressOf(id, prefixes), key)
}

// egressOf is the subject of an egress' messages without a key.
func (n names) egressOf(id actor.TypeName, prefixes map[actor.TypeName]string) string {
	if subject, ok := prefixes[id]; ok {
		return subject
	}
	if subject, ok := prefixes[actor.TypeName{Namespace: id.Namespace, Name: "*"}]; ok {
		return subject + "." + token(id.Name)
	}
	return n.app + ".egress." + token(id.Namespace) + "." + token(id.Name)
}

// withKey is where messages with a key are; an empty one is none.
func withKey(subject, key string) string {
	if key == "" {
		return subject
	}
	return subject + "." + token(key)
}

// egressSubjects are what the egress stream binds, without the markers:
// the application's own prefix and the configured ones.
func (n names) egressSubjects(prefixes map[actor.TypeName]string) []string {
	subjects := []string{n.app + ".egress.>"}
	for id, prefix := range prefixes {
		if id.Name != "*" {
			subjects = append(subjects, prefix)
		}
		subjects = append(subjects, prefix+".>")
	}
	return union(nil, subjects)
}

// KeyedEgress is the stream and the subjects of an egress' messages that have
// a key, where no prefix is configured.
func KeyedEgress(app string, id actor.TypeName) (stream, subject string) {
	n := names{app}
	return n.egressStream(), n.egress(id, "", nil) + ".*"
}

func (n names) egressMarks() string { return n.app + ".mark.egress.*" }

// covers reports whether a, a subject or one that ends in ">", matches all
// that b does.
func covers(a, b string) bool {
	prefix, ok := strings.CutSuffix(a, ">")
	return ok && strings.HasPrefix(b, prefix)
}

func checkPrefixes(prefixes map[actor.TypeName]string) error {
	for id, prefix := range prefixes {
		if err := checkPrefix(prefix); err != nil {
			return fmt.Errorf("egress %s: %w", id, err)
		}
	}
	return nil
}

// union are the subjects of both lists, less those that another one covers.
func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	all = slices.Compact(all)
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool {
		return slices.ContainsFunc(all, func(other string) bool { return other != s && covers(other, s) })
	})
}

func checkPrefix(prefix string) error {
	for t := range strings.SplitSeq(prefix, ".") {
		if t == "" || strings.ContainsAny(t, "*> \t\r\n") {
			return fmt.Errorf("subject prefix %q is not a plain NATS subject", prefix)
		}
	}
	if strings.HasPrefix(prefix, "$") {
		return fmt.Errorf("subject prefix %q begins with $, which is the server's", prefix)
	}
	return nil
}

// maxToken is the length at which a token of a dead letter's or an egress
// message's subject is cut, so that the subject stays a legal one. The whole
// text is in the message.
const maxToken = 1000

// token escapes s as one token that is not too long.
func token(s string) string {
	t := actor.Escape(s)
	if len(t) <= maxToken {
		return t
	}
	end := maxToken
	for i := 1; i <= 2; i++ { // not inside of =XX
		if t[maxToken-i] == '=' {
			end = maxToken - i
		}
	}
	return t[:end]
}
