"""`sobo bench worlds`: plans of the UR5 among the obstacles of MotionBenchMaker, checked independently."""
