package protoroute

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	// The files that sets leave out when they were made without their imports.
	_ "google.golang.org/protobuf/types/known/anypb"
	_ "google.golang.org/protobuf/types/known/durationpb"
	_ "google.golang.org/protobuf/types/known/emptypb"
	_ "google.golang.org/protobuf/types/known/structpb"
	_ "google.golang.org/protobuf/types/known/timestamppb"
	_ "google.golang.org/protobuf/types/known/wrapperspb"
)

// FindMessage reads a FileDescriptorSet, which protoc writes with
// --descriptor_set_out, and returns the message type of that full name.
func FindMessage(set []byte, name string) (protoreflect.MessageDescriptor, error) {
	var files descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(set, &files); err != nil || len(files.GetFile()) == 0 {
		return nil, errors.New("is no descriptor set; make one with protoc --include_imports --descriptor_set_out=FILE")
	}
	registry, err := link(&files)
	if err != nil {
		return nil, err
	}
	found, err := registry.FindDescriptorByName(protoreflect.FullName(name))
	if message, ok := found.(protoreflect.MessageDescriptor); ok && err == nil {
		return message, nil
	}
	return nil, fmt.Errorf("has no message type %s; it has %s", name, strings.Join(messages(registry), ", "))
}

// link connects the files of a set, and adds those that jetfn itself knows
// where the set leaves them out.
func link(set *descriptorpb.FileDescriptorSet) (*protoregistry.Files, error) {
	have := map[string]bool{}
	for _, f := range set.GetFile() {
		have[f.GetName()] = true
	}
	for i := 0; i < len(set.GetFile()); i++ {
		for _, imported := range set.GetFile()[i].GetDependency() {
			if have[imported] {
				continue
			}
			known, err := protoregistry.GlobalFiles.FindFileByPath(imported)
			if err != nil {
				return nil, fmt.Errorf("lacks the imported file %s; make it with protoc --include_imports", imported)
			}
			have[imported] = true
			set.File = append(set.File, protodesc.ToFileDescriptorProto(known))
		}
	}
	registry, err := protodesc.NewFiles(set)
	if err != nil {
		return nil, fmt.Errorf("is not consistent: %w", err)
	}
	return registry, nil
}

// messages are the names of the top-level message types.
func messages(registry *protoregistry.Files) []string {
	var names []string
	registry.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		for i := range f.Messages().Len() {
			if name := string(f.Messages().Get(i).FullName()); !strings.HasPrefix(name, "google.protobuf.") {
				names = append(names, name)
			}
		}
		return true
	})
	slices.Sort(names)
	return names
}
