package kvstate_test

import (
	"fmt"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/kvstate"
)

// What `nats kv get jetfn_state greeter.person.Gordon` shows.
func ExampleEncode() {
	seen := actor.StateValue{Name: "seen", Value: actor.Value{Type: "io.statefun.types/int", Data: []byte{8, 3}}, WrittenAt: 1700000000123}
	data, err := kvstate.Encode("greeter.person.Gordon", actor.StateRecord{State: actor.State{seen}, Partition: 5, Epoch: 2, Commit: 77})
	fmt.Println(string(data), err)
	// Output:
	// {"v":1,"partition":5,"epoch":2,"commit":77,"crc":"b8ec0117","values":{"seen":{"type":"io.statefun.types/int","value":"CAM=","writtenAt":1700000000123}}} <nil>
}
