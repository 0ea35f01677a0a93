#compdef jetfn
# Completion of jetfn for zsh. Put this into ~/.zshrc, after compinit:
#
#   source <(jetfn completion zsh)

_jetfn() {
  local line
  local -a found
  while IFS= read -r line; do
    if [[ $line == :files ]]; then
      _files
      return
    fi
    found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
  done < <("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)
  _describe -V jetfn found
}

compdef _jetfn jetfn
