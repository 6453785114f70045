"""How gunicorn serves Guarded Rollout; it reads this from where it is started. What is said on its line wins."""

worker_class = "gthread"
workers = 2
threads = 4
preload_app = True  # the workers share what was imported before they were forked
control_socket_disable = True  # nothing of ours asks it
