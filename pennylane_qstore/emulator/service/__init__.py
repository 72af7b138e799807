"""What IonQ does with a job: queue, sessions, billing, time."""
