"""``python -m campaign``."""

from campaign.main import main

main()
