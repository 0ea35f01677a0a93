// Command gen compiles the .proto files of a folder and writes the Go code
// for them. It needs nothing but Go: the compiler and the generator are
// libraries.
//
//	go run ./gen -proto proto -out .
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bufbuild/protocompile"
	gengo "google.golang.org/protobuf/cmd/protoc-gen-go/internal_gengo"
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

// module is the part of go_package that stands for the output folder.
const module = "github.com/jetfn/jetfn/internal/wire"

func main() {
	protoDir := flag.String("proto", "proto", "folder of the .proto files")
	outDir := flag.String("out", ".", "folder that stands for "+module)
	flag.Parse()
	if err := run(context.Background(), *protoDir, *outDir); err != nil { //nolint:forbidigo // this is main
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, protoDir, outDir string) error {
	paths, err := filepath.Glob(filepath.Join(protoDir, "*.proto"))
	if err != nil {
		return fmt.Errorf("list %s: %w", protoDir, err)
	}
	names := make([]string, 0, len(paths))
	for _, p := range paths {
		names = append(names, filepath.Base(p))
	}
	slices.Sort(names)
	files, err := compile(ctx, protoDir, names)
	if err != nil {
		return err
	}
	return generate(files, names, outDir)
}

// compile returns the descriptors of the named files, comments included, and
// of what they import, each behind its imports.
func compile(ctx context.Context, protoDir string, names []string) ([]*descriptorpb.FileDescriptorProto, error) {
	compiler := protocompile.Compiler{
		Resolver:       protocompile.WithStandardImports(&protocompile.SourceResolver{ImportPaths: []string{protoDir}}),
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	linked, err := compiler.Compile(ctx, names...)
	if err != nil {
		return nil, fmt.Errorf("compile %s: %w", protoDir, err)
	}
	var files []*descriptorpb.FileDescriptorProto
	for _, f := range linked {
		files = appendFile(files, f)
	}
	return files, nil
}

func appendFile(files []*descriptorpb.FileDescriptorProto, f protoreflect.FileDescriptor) []*descriptorpb.FileDescriptorProto {
	if slices.ContainsFunc(files, func(p *descriptorpb.FileDescriptorProto) bool { return p.GetName() == f.Path() }) {
		return files
	}
	for i := range f.Imports().Len() {
		files = appendFile(files, f.Imports().Get(i).FileDescriptor)
	}
	return append(files, protodesc.ToFileDescriptorProto(f))
}

func generate(files []*descriptorpb.FileDescriptorProto, names []string, outDir string) error {
	plugin, err := protogen.Options{}.New(&pluginpb.CodeGeneratorRequest{
		FileToGenerate: names,
		Parameter:      proto.String("module=" + module),
		ProtoFile:      files,
	})
	if err != nil {
		return fmt.Errorf("prepare generator: %w", err)
	}
	for _, f := range plugin.Files {
		if f.Generate {
			gengo.GenerateFile(plugin, f)
		}
	}
	response := plugin.Response()
	if response.Error != nil {
		return fmt.Errorf("generate: %s", response.GetError())
	}
	for _, f := range response.GetFile() {
		if err := write(outDir, f); err != nil {
			return err
		}
	}
	return nil
}

func write(outDir string, f *pluginpb.CodeGeneratorResponse_File) error {
	name := filepath.Join(outDir, filepath.FromSlash(path.Clean(f.GetName())))
	if !strings.HasSuffix(name, ".go") {
		return fmt.Errorf("unexpected output %s", f.GetName())
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return fmt.Errorf("make folder of %s: %w", name, err)
	}
	if err := os.WriteFile(name, []byte(f.GetContent()), 0o644); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}
