from ragedu.cli import main

raise SystemExit(main())
