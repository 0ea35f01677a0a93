# Completion of jetfn for fish. Put this into ~/.config/fish/config.fish:
#
#   jetfn completion fish | source

function __jetfn_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l found ($words[1] __complete $words[2..-1] 2>/dev/null)
    if test "$found[1]" = ":files"
        __fish_complete_path (commandline -ct)
    else
        printf '%s\n' $found
    end
end

complete -c jetfn -f -a '(__jetfn_complete)'
