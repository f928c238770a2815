import sys, json, numpy as np
from sobo_planner.tasks import load_task
from sobo_planner.policy import Policy
from sobo_planner.solver import Instance
from sobo_training.data.instances import Stream, draw
from sobo_training.evaluation.evaluate import EvaluateOptions, Evaluator
task=load_task('ur5'); pol=Policy.load('/work/main/config/policies/ur5',task); ev=Evaluator(task,pol,EvaluateOptions(planner=False))
N=int(sys.argv[1]); rng=np.random.default_rng(int(sys.argv[2]))
RE=[0,.19,.28,.38,.51,.67,.94]; HE=[-.83,-.38,-.13,.13,.35,.61,1.02]
from collections import defaultdict
# pool of end states
ends=[];pool=defaultdict(list)
for i in range(N):
    x,_=draw(task,Stream.EVALUATE,505,i); s=ev.solve_from  # naive
    sol=ev.solver.solve(x,task.interpolate(x))
    if not sol.converged: continue
    e=np.array(sol.X[-1]); e[6:]=0
    c=(np.digitize(np.hypot(*x.target[:2]),RE)-1, np.digitize(x.target[2],HE)-1); pool[c].append((e,x.target))
from math import inf
out={}
for c,l in sorted(pool.items()):
    if len(l)<8: continue
    its=[];nv=[]
    for k in range(40):
        a,b=rng.choice(len(l),2,replace=False); inst=Instance(l[a][0],l[b][1])
        r,g=ev.roll_out(inst,np.random.default_rng(k)); its.append(ev.solve(inst,g).iterations); nv.append(ev.solve_from(inst,task.interpolate).iterations)
    print(c,len(l),round(np.mean(its),2),round(np.mean(nv),2),flush=True)
