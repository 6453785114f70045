# Sourced by the *_dhash.sh doors: finds this checkout's virtual environment and hands over to manage.py.

through_the_door() {
    verb=$1
    shift
    case " $* " in
    *" --help "* | *" -h "*)
        sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p;}' "$0"
        exit 0
        ;;
    esac
    here=$(cd "$(dirname "$0")/.." && pwd -P)
    python="$here/.venv/bin/python"
    if [ ! -x "$python" ]; then
        echo "$(basename "$0"): there is no $python yet; run \`python3 up.py\` in $here once" >&2
        exit 1
    fi
    exec "$python" "$here/manage.py" "$verb" --component dhash "$@"
}
