"""Tasks with known answers: data and circuits of published work, each beside a classical one."""
