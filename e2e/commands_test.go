//go:build e2e

package e2e_test

import (
	"math/rand/v2"

	"google.golang.org/protobuf/encoding/protowire"
)

// The commands of StateFun's smoke test, by their field in Command.
const (
	commandIncrement  protowire.Number = 1
	commandSend       protowire.Number = 2
	commandSendAfter  protowire.Number = 3
	commandSendEgress protowire.Number = 4
	commandVerify     protowire.Number = 6
)

// The shape of a tree, as StateFun's smoke test has it by default.
const (
	commandDepth        = 10
	maxCommandsPerDepth = 3
)

// commandTree makes random commands and knows what each instance's counter
// must come to.
type commandTree struct {
	dice     *rand.Rand
	expected []int64
}

func newCommandTree(dice *rand.Rand, instances int) *commandTree {
	return &commandTree{dice: dice, expected: make([]int64, instances)}
}

func (c *commandTree) total() (sum int64) {
	for _, n := range c.expected {
		sum += n
	}
	return sum
}

// sourceCommand is a message for an instance: SourceCommand{target, commands}.
func (c *commandTree) sourceCommand() (target int, payload []byte) {
	target = c.dice.IntN(len(c.expected))
	return target, envelope(target, c.commands(target, c.dice.IntN(commandDepth)))
}

// commands is a Commands message for an instance, of some depth.
func (c *commandTree) commands(at, depth int) (b []byte) {
	for range c.dice.IntN(maxCommandsPerDepth) {
		if command := c.command(at, depth); command != nil {
			b = appendField(b, 1, command)
		}
	}
	if len(b) == 0 {
		b = appendField(b, 1, c.increment(at))
	}
	return b
}

func (c *commandTree) increment(at int) []byte {
	c.expected[at]++
	return appendField(nil, commandIncrement, nil)
}

// command picks one by the weights of StateFun's generator; nil is none.
func (c *commandTree) command(at, depth int) []byte {
	const modify, send, sendAfter, noop, egress = 0.4, 0.9, 0.1, 0.2, 0.03
	p := c.dice.Float64() * (modify + send + sendAfter + noop + egress)
	switch {
	case p < modify:
		return c.increment(at)
	case p < modify+send:
		return c.onward(commandSend, depth)
	case p < modify+send+sendAfter:
		return c.onward(commandSendAfter, depth)
	case p < modify+send+sendAfter+egress:
		return appendField(nil, commandSendEgress, nil)
	default:
		return nil
	}
}

func (c *commandTree) onward(kind protowire.Number, depth int) []byte {
	if depth == 0 {
		return nil
	}
	target := c.dice.IntN(len(c.expected))
	return appendField(nil, kind, envelope(target, c.commands(target, depth-1)))
}

// envelope is the shape that SourceCommand, Send and SendAfter share.
func envelope(target int, commands []byte) []byte {
	return appendField(appendVarint(nil, 1, int64(target)), 2, commands)
}

func verifyCommand(target int, expected int64) []byte {
	verify := appendField(nil, commandVerify, appendVarint(nil, 1, expected))
	return envelope(target, appendField(nil, 1, verify))
}

func appendVarint(b []byte, n protowire.Number, v int64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, n, protowire.VarintType), uint64(v))
}

// readVerification reads VerificationResult{id, expected, actual}.
func readVerification(b []byte) (id int, expected, actual int64, err error) {
	err = fields(b, func(n int, _ []byte, u uint64) error {
		switch n {
		case 1:
			id = int(u)
		case 2:
			expected = int64(u)
		case 3:
			actual = int64(u)
		}
		return nil
	})
	return id, expected, actual, err
}
